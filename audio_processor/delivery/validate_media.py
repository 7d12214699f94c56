"""Validation's ears: what a ladder's segments hold, and how they sound once decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from audio_processor.delivery.adts import FRAME_SAMPLES, frame_count, read_format
from audio_processor.delivery.playlist_reader import MediaPlaylist
from audio_processor.delivery.transport_stream import read_audio
from audio_processor.delivery.validate_sources import LadderSource, resolve
from audio_processor.dsp.measure import LevelMeter
from audio_processor.errors import PermanentError
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import Block, Loudness

CHANNELS = 2
_BLOCK_FRAMES = 1 << 16
_STALL_TIMEOUT_S = 60.0
_DECODE_TIMEOUT_S = 1800.0
_EXCERPT_START_S = 4.0
_EXCERPT_S = 12.0
_COMPARE_HZ = 48_000
_NEAR_MS = 50.0
_FAR_MS = 250.0
_SILENCE = 1e-4
_RESEMBLES = 0.8
"""Music correlates with its own encode at 0.97 and more, even at 48 kbit/s."""
_CLEARLY = 0.1
"""Music's next peak is lower by 0.2 and more, a drone's or a square wave's by 0.003."""
_SEPARATE_MS = 0.1
"""What is nearer makes no difference to a listener: the ripple that a band's edge leaves."""

_Mono = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """One segment as fetched and demuxed."""

    name: str
    stated_s: float
    size_bytes: int = 0
    real_s: float | None = None
    sample_rate_hz: int | None = None
    object_type: int | None = None
    pts: int | None = None
    fault: str | None = None
    """Why it is no good."""
    not_judged: str | None = None
    """Why it cannot be judged here, good or not."""
    sha256: str | None = None
    """Of the variant's segments up to and with this one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A decoded stream."""

    frames: int
    loudness: Loudness
    second_opinion_lufs: float | None
    excerpt: Block
    """Stereo, from near the beginning, for the alignment."""
    complaints: str
    """What FFmpeg said of it."""


def collect(
    source: LadderSource,
    playlist: str,
    media: MediaPlaylist,
    stream: Path,
    *,
    segment_bytes: int,
) -> Iterator[SegmentFacts]:
    """Fetch the segments one by one, appending their ADTS frames to ``stream``.

    Raises ``StoreUnavailable``; anything wrong with a segment is told, not raised.
    """
    scratch = stream.with_suffix(".segment")
    digest = hashlib.sha256()
    with stream.open("wb") as file:
        for uri, stated_s in media.entries:
            try:
                name = resolve(playlist, uri)
                source.fetch(name, scratch, max_bytes=segment_bytes)
                data = scratch.read_bytes()
                digest.update(data)
                facts, payload = _segment(name, stated_s, data)
                file.write(payload)
                facts = replace(facts, sha256=digest.hexdigest())
            except (ValueError, PermanentError) as error:
                facts = SegmentFacts(uri, stated_s, fault=str(error))
            yield facts
    scratch.unlink(missing_ok=True)


def _segment(name: str, stated_s: float, data: bytes) -> tuple[SegmentFacts, bytes]:
    """Demux one segment. Raises ``ValueError`` where it is damaged."""
    if data[4:8] in {b"ftyp", b"styp", b"moof", b"sidx"}:
        return _not_judged(name, stated_s, data, "a fragmented MP4 segment"), b""
    audio = read_audio(data)
    if audio.codec != "aac":
        return _not_judged(name, stated_s, data, f"{audio.codec} audio"), b""
    form = read_format(audio.payload)
    frames = frame_count(audio.payload)
    return (
        SegmentFacts(
            name=name,
            stated_s=stated_s,
            size_bytes=len(data),
            real_s=frames * FRAME_SAMPLES / form.sample_rate_hz,
            sample_rate_hz=form.sample_rate_hz,
            object_type=form.object_type,
            pts=audio.pts[0] if audio.pts else None,
            fault="its continuity counters break" if audio.counter_breaks else None,
        ),
        audio.payload,
    )


def _not_judged(name: str, stated_s: float, data: bytes, what: str) -> SegmentFacts:
    return SegmentFacts(name, stated_s, len(data), not_judged=what)


def listen(
    supervisor: Supervisor,
    path: Path,
    sample_rate_hz: int,
    demuxer: str,
    *,
    second_opinion_s: float = 0.0,
) -> Heard:
    """Decode the file's audio to stereo and measure it in one pass.

    pyloudnorm's opinion is asked of programmes up to ``second_opinion_s``: it wants them
    whole in memory. Raises ``FFmpegFailed``, ``EncoderTimeout``.
    """
    meter = LevelMeter(sample_rate_hz, CHANNELS)
    kept: list[Block] | None = []
    excerpt = _Excerpt(sample_rate_hz)
    frames = 0
    arguments = [
        *("-hide_banner", "-nostdin", "-loglevel", "error"),
        *("-protocol_whitelist", "file", "-f", demuxer, "-i", str(path)),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-ac", str(CHANNELS)),
        *("-ar", str(sample_rate_hz), "-f", "f32le", "pipe:1"),
    ]
    with supervisor.open(
        arguments,
        what="decode what is validated",
        stdout=True,
        stall_timeout_s=_STALL_TIMEOUT_S,
        timeout_s=_DECODE_TIMEOUT_S,
    ) as process:
        for block in _blocks(process.readinto):
            meter.push(block)
            excerpt.push(block, frames)
            frames += len(block)
            if kept is not None:
                kept.append(block)
                if frames > second_opinion_s * sample_rate_hz:
                    kept = None
        complaints = process.finish().stderr
    opinion = None if kept is None else _second_opinion(kept, sample_rate_hz)
    return Heard(frames, meter.result(), opinion, excerpt.whole(), complaints.strip())


def _blocks(readinto: Callable[[memoryview], int]) -> Iterator[Block]:
    """Cut the decoder's output into blocks of whole frames."""
    frame_bytes = 4 * CHANNELS
    buffer = bytearray(_BLOCK_FRAMES * frame_bytes)
    held = 0
    while count := readinto(memoryview(buffer)[held:]):
        held += count
        whole = held - held % frame_bytes
        if held == len(buffer):
            yield np.frombuffer(bytes(buffer[:whole]), "<f4").reshape(-1, CHANNELS)
            held = 0
    whole = held - held % frame_bytes
    if whole:
        yield np.frombuffer(bytes(buffer[:whole]), "<f4").reshape(-1, CHANNELS)


class _Excerpt:
    """Keeps a few seconds of the programme."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._start = round(_EXCERPT_START_S * sample_rate_hz)
        self._end = round((_EXCERPT_START_S + _EXCERPT_S) * sample_rate_hz)
        self._parts: list[Block] = []

    def push(self, block: Block, at: int) -> None:
        part = block[max(0, self._start - at) : max(0, self._end - at)]
        if len(part):
            self._parts.append(part.copy())  # not a view, which would keep the whole block

    def whole(self) -> Block:
        return np.concatenate(self._parts) if self._parts else np.zeros((0, CHANNELS), np.float32)


def _second_opinion(blocks: Sequence[Block], sample_rate_hz: int) -> float | None:
    """Ask pyloudnorm, with the K-weighting that agrees with BS.1770's table (DeMan)."""
    import pyloudnorm

    whole = np.concatenate(blocks) if blocks else np.zeros((0, CHANNELS), np.float32)
    if len(whole) < 0.4 * sample_rate_hz or not np.any(whole):
        return None
    lufs = float(pyloudnorm.Meter(sample_rate_hz, filter_class="DeMan").integrated_loudness(whole))
    return lufs if np.isfinite(lufs) else None


def offset_ms(
    reference: Block,
    reference_hz: int,
    other: Block,
    other_hz: int,
    *,
    expected_ms: float = 0.0,
) -> float | None:
    """Return by how much ``other`` is late, both stereo; None where there is no telling.

    The peak of the normalised cross-correlation is looked for near ``expected_ms``; only
    where nothing there resembles the reference, further off. Steady sounds resemble
    themselves at every period: a peak with a rival says nothing.
    """
    a, b = _louder_of_mid_and_side(
        *(
            soxr.resample(x, hz, _COMPARE_HZ) if len(x) else x
            for x, hz in ((reference, reference_hz), (other, other_hz))
        )
    )
    if min(len(a), len(b)) < _COMPARE_HZ // 2 or min(np.abs(a).max(), np.abs(b).max()) < _SILENCE:
        return None
    for centre_ms, reach_ms in (
        (expected_ms, _NEAR_MS),
        (expected_ms, _FAR_MS),
        (0.0, _FAR_MS),  # as decoded: the time stamps themselves may be wrong
    ):
        first = round((centre_ms - reach_ms) * _COMPARE_HZ / 1000)
        last = round((centre_ms + reach_ms) * _COMPARE_HZ / 1000)
        peak, alone = _peak(_correlation(a, b, first, last))
        if peak is not None:
            return (first + peak) / _COMPARE_HZ * 1000 if alone else None
    return None


def _louder_of_mid_and_side(a: Block, b: Block) -> tuple[_Mono, _Mono]:
    """Return the same one of both, in which there is more to compare."""
    if not (len(a) and len(b)):
        return np.zeros(0), np.zeros(0)
    mid, side = (
        [(x[:, 0] + sign * x[:, 1]).astype(np.float64) / 2 for x in (a, b)] for sign in (1, -1)
    )
    mid_energy, side_energy = (float((x @ x) * (y @ y)) for x, y in (mid, side))
    louder = mid if mid_energy >= side_energy else side
    return louder[0], louder[1]


def _correlation(a: _Mono, b: _Mono, first: int, last: int) -> _Mono:
    """Return how much ``b``, taken from ``first`` to ``last`` samples later, resembles ``a``.

    1 is the same up to a gain. Empty where too little of the two would overlap.
    """
    start, end = max(0, -first), min(len(a), len(b) - last)
    if end - start < _COMPARE_HZ // 4:
        return np.zeros(0)
    template, within = a[start:end], b[start + first : end + last]
    lags = last - first + 1
    size = 1 << (len(within) - 1).bit_length()  # what wraps around lies beyond the lags
    product = np.fft.rfft(within, size) * np.conj(np.fft.rfft(template, size))
    energy = np.concatenate([[0.0], np.cumsum(within * within)])
    energy = (energy[len(template) :] - energy[:lags]) * (template @ template)
    floor = len(template) ** 2 * _SILENCE**4
    return np.where(
        energy > floor, np.fft.irfft(product, size)[:lags] / np.sqrt(np.maximum(energy, floor)), 0.0
    )


def _peak(resemblance: _Mono) -> tuple[float | None, bool]:
    """Return where the highest peak is, between samples by a parabola, and if it has no rival."""
    padded = np.pad(resemblance, 1, constant_values=-np.inf)
    tops = np.flatnonzero((resemblance > padded[:-2]) & (resemblance >= padded[2:]))
    tops = tops[np.argsort(resemblance[tops])[::-1]]
    if not len(tops) or not 0 < tops[0] < len(resemblance) - 1:
        return None, False  # still rising at the edge: the peak is not in here
    left, middle, right = resemblance[tops[0] - 1 : tops[0] + 2]
    if middle < _RESEMBLES:
        return None, False
    rivals = tops[np.abs(tops - tops[0]) > _SEPARATE_MS * _COMPARE_HZ / 1000]
    alone = not np.any(resemblance[rivals] > middle - _CLEARLY)
    return float(tops[0] + 0.5 * (left - right) / (left - 2 * middle + right)), alone
