"""One delivered track, fetched from the store and judged by FFmpeg's meters and file sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.meter import Heard, listen

OUTPUT = "mwonya_audio_tracks/"
TARGET_LUFS, TOLERANCE_LU = -14.0, 0.3
TRUE_PEAK_DBTP, FULL_SCALE_DBTP = -1.0, 0.0
RANGE_LU = 11.0 + 0.5
METERS_AGREE_LU, METERS_AGREE_DB, METERS_AGREE_RANGE_LU = 0.1, 0.2, 0.3
SHORT_S, METERS_AGREE_RANGE_SHORT_LU = 40.0, 1.0
"""FFmpeg takes the 10 % quantile one window lower than Tech 3342's text, which tells where
windows are few and the music fades in; 1 LU is Tech 3342's own tolerance."""
BANDWIDTH_SHARE = 0.10
FRAME = 1024


@dataclass(frozen=True, slots=True)
class File:
    """One delivered file or ladder as FFmpeg hears it."""

    name: str
    heard: Heard
    average_bit_rate: float
    """By the sizes of the files."""
    encodes: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A track as a listener gets it, and what is wrong with it."""

    track: str
    back_end: str
    mode: str
    source: Heard
    files: tuple[File, ...]
    faults: tuple[str, ...]


def judge(
    ffmpeg: Path, source: Path, read: Callable[[str], bytes], folder: Path, back_end: str
) -> Delivered:
    """Fetch what was published for the source, measure it, and hold it to what it says."""
    root = f"{OUTPUT}{source.stem}/"
    metadata: dict[str, Any] = json.loads(read(f"{root}metadata.json"))
    heard = listen(ffmpeg, source)
    faults = list(_source_faults(metadata, heard))
    files = []
    for variant in variants(read(f"{root}playlist.m3u8").decode()):
        ladder = fetch_variant(read, root, variant, folder)
        stated = next(r for r in metadata["renditions"] if r["playlist"] == variant.uri)
        file = File(
            stated["name"],
            listen(ffmpeg, ladder.playlist),
            ladder.average_bit_rate,
            len(stated["candidates"]),
        )
        files.append(file)
        faults += _level_faults(file, stated, metadata)
        faults += _ladder_faults(file, variant, ladder, stated, heard)
    files.append(_m4a(ffmpeg, read, root, metadata, folder))
    faults += _m4a_faults(files[-1], metadata)
    return Delivered(
        source.name, back_end, metadata["plan"]["mode"], heard, tuple(files), tuple(faults)
    )


# ── the ladder ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Variant:
    """A line of the master playlist."""

    uri: str
    bandwidth: int
    average_bandwidth: int


@dataclass(frozen=True, slots=True)
class FetchedVariant:
    """A tier's playlist and segments on disk, in figures."""

    playlist: Path
    durations_s: tuple[float, ...]
    sizes_bytes: tuple[int, ...]

    @property
    def average_bit_rate(self) -> float:
        """All bits over all seconds."""
        return 8 * sum(self.sizes_bytes) / sum(self.durations_s)

    @property
    def peak_bit_rate(self) -> float:
        """The largest segment's, of those that are long enough to tell (RFC 8216 §4.3.4.2)."""
        longest_s = max(self.durations_s)
        return max(
            8 * size / duration_s
            for size, duration_s in zip(self.sizes_bytes, self.durations_s, strict=True)
            if duration_s >= longest_s / 2
        )


def variants(master: str) -> Iterator[Variant]:
    """Yield the variants of a master playlist, read here anew rather than by our reader."""
    for attributes, uri in re.findall(r"^#EXT-X-STREAM-INF:(.*)\n(.*)$", master, re.MULTILINE):
        average = re.search(r"AVERAGE-BANDWIDTH=(\d+)", attributes)
        peak = re.search(r"(?<!-)BANDWIDTH=(\d+)", attributes)
        assert average and peak, attributes
        yield Variant(uri, int(peak[1]), int(average[1]))


def fetch_variant(
    read: Callable[[str], bytes], root: str, variant: Variant, folder: Path
) -> FetchedVariant:
    """Download a tier's playlist and every segment that it names."""
    content = read(root + variant.uri)
    playlist = folder / variant.uri
    playlist.parent.mkdir(parents=True, exist_ok=True)
    playlist.write_bytes(content)
    lines = re.findall(r"^#EXTINF:([\d.]+),.*\n(.*)$", content.decode(), re.MULTILINE)
    sizes = []
    for _, name in lines:
        segment = read(f"{root}{variant.uri.rpartition('/')[0]}/{name}")
        (playlist.parent / name).write_bytes(segment)
        sizes.append(len(segment))
    return FetchedVariant(playlist, tuple(float(length) for length, _ in lines), tuple(sizes))


def _ladder_faults(
    file: File, variant: Variant, ladder: FetchedVariant, stated: dict[str, Any], source: Heard
) -> Iterator[str]:
    for label, says, is_ in (
        ("AVERAGE-BANDWIDTH", variant.average_bandwidth, ladder.average_bit_rate),
        ("BANDWIDTH", variant.bandwidth, ladder.peak_bit_rate),
    ):
        if abs(says - is_) > BANDWIDTH_SHARE * is_:
            yield f"{file.name}: {label} {says} where the files have {is_:.0f}"
    frame_s = FRAME / stated["sample_rate_hz"]
    if abs(sum(ladder.durations_s) - file.heard.duration_s) > frame_s:
        yield (
            f"{file.name}: {sum(ladder.durations_s):.3f} s of EXTINF, "
            f"{file.heard.duration_s:.3f} s of audio"
        )
    # the decoder's delay and the padding that aligns the tiers come on top
    if not -frame_s <= file.heard.duration_s - source.duration_s <= 4 * frame_s:
        yield f"{file.name}: {file.heard.duration_s:.3f} s of a source of {source.duration_s:.3f} s"
    if sum(ladder.sizes_bytes) != stated["size_bytes"]:
        yield f"{file.name}: {sum(ladder.sizes_bytes)} bytes, not {stated['size_bytes']}"


# ── the m4a ──────────────────────────────────────────────────────────────────────────────


def _m4a(
    ffmpeg: Path, read: Callable[[str], bytes], root: str, metadata: dict[str, Any], folder: Path
) -> File:
    content = read(root + metadata["m4a"]["file"])
    path = folder / "track.m4a"
    path.write_bytes(content)
    heard = listen(ffmpeg, path)
    return File("m4a", heard, 8 * len(content) / heard.duration_s, 0)


def _m4a_faults(file: File, metadata: dict[str, Any]) -> Iterator[str]:
    stated = metadata["m4a"]
    rendition = next(r for r in metadata["renditions"] if r["name"] == stated["rendition"])
    yield from _level_faults(file, rendition, metadata)
    expected_s = metadata["source"]["duration_s"]
    if abs(file.heard.duration_s - expected_s) > 1.5 / stated["sample_rate_hz"]:
        yield f"m4a: {file.heard.duration_s:.6f} s, not {expected_s:.6f} s"


# ── levels ───────────────────────────────────────────────────────────────────────────────


def _source_faults(metadata: dict[str, Any], heard: Heard) -> Iterator[str]:
    yield from _disagreements("source", metadata["loudness"]["source"], heard)
    # a container's last time stamp may leave out a few samples that it holds
    if abs(metadata["source"]["duration_s"] - heard.duration_s) > 0.05:
        yield f"source: {heard.duration_s:.3f} s, not {metadata['source']['duration_s']:.3f} s"


def _level_faults(file: File, stated: dict[str, Any], metadata: dict[str, Any]) -> Iterator[str]:
    """Yield where FFmpeg disagrees with the metadata, and where the promise is not kept."""
    heard, limited_by = file.heard, stated["limited_by"]
    yield from _disagreements(file.name, stated["loudness"], heard)
    if limited_by is None and abs(heard.integrated_lufs - TARGET_LUFS) > TOLERANCE_LU:
        yield f"{file.name}: {heard.integrated_lufs:.2f} LUFS, and nothing said to limit it"
    peak_dbtp = FULL_SCALE_DBTP if limited_by == "codec_peak" else TRUE_PEAK_DBTP
    if heard.true_peak_dbtp > peak_dbtp + METERS_AGREE_DB / 2:
        yield f"{file.name}: {heard.true_peak_dbtp:+.2f} dBTP"
    limits_range = metadata["loudness"]["target"]["range_mode"] == "limit"
    if limits_range and heard.range_lu > RANGE_LU + METERS_AGREE_RANGE_LU / 2:
        yield f"{file.name}: a range of {heard.range_lu:.1f} LU"


def _disagreements(name: str, ours: dict[str, float | None], heard: Heard) -> Iterator[str]:
    is_short = heard.duration_s < SHORT_S
    range_lu = METERS_AGREE_RANGE_SHORT_LU if is_short else METERS_AGREE_RANGE_LU
    compared = (
        ("integrated_lufs", heard.integrated_lufs, METERS_AGREE_LU),
        ("true_peak_dbtp", heard.true_peak_dbtp, METERS_AGREE_DB),
        ("range_lu", heard.range_lu, range_lu),
    )
    for key, theirs, within in compared:
        value = ours[key]
        if value is None or abs(value - theirs) > within:
            yield f"{name}: {key} {value} by us, {theirs:.2f} by FFmpeg"
