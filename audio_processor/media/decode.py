"""Decode to float32 stereo blocks through a pipe, and judge the decode at its end.

FFmpeg exits 0 on half a file, so the verdict comes from what it said on stderr and from
how many frames came out against how many the container declares.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from audio_processor.errors import CorruptMedia
from audio_processor.media import argv
from audio_processor.media.diagnosis import damage, explain, too_long
from audio_processor.media.downmix import channel_names, stereo_matrix, to_stereo
from audio_processor.media.ffmpeg import CpuTimeSpent, FFmpegFailed, Process, Supervisor
from audio_processor.media.wholeness import judge
from audio_processor.model import Block, Blocks, Probe

BLOCK_FRAMES = 16384
STALL_TIMEOUT_S = 60.0
TIMEOUT_S = 4 * 3600.0

_SAMPLE_BYTES = 4
_LOUDEST = 1e10
"""+200 dBFS. 32-bit integers in a float file reach +187; what is above is no sound."""


class Decoder(Iterator[Block]):
    """The decoded programme: an iterator of ``(frames, 2)`` float32 blocks, each its own array.

    ``frames`` counts up; ``warnings`` are there once the iterator is exhausted. The last
    ``next`` raises ``CorruptMedia`` where the file turns out to be damaged or cut short, and
    every one may raise ``EncoderTimeout``, ``LimitExceeded`` or ``FFmpegFailed``.
    """

    def __init__(self, blocks: Generator[Block, None, None]) -> None:
        self.frames = 0
        self.warnings: tuple[str, ...] = ()
        self._blocks = blocks

    def __next__(self) -> Block:
        block = next(self._blocks)
        self.frames += len(block)
        return block


@contextmanager
def decode(
    supervisor: Supervisor,
    source: Path,
    probe: Probe,
    *,
    file_name: str,
    sample_rate_hz: int | None = None,
    max_duration_s: float | None = None,
    accept_truncated: bool = False,
    block_frames: int = BLOCK_FRAMES,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[Decoder]:
    """Decode the first audio stream to stereo, at its own rate unless told otherwise.

    Mono becomes dual mono, more than two channels are mixed down by ``downmix``. With
    ``accept_truncated`` a file that is cut short is a warning, not an error.
    Raises what ``Decoder`` raises.
    """
    channels = channel_names(probe.channel_layout)
    assert channels is not None, "probe refuses a layout that is not known"
    rate = sample_rate_hz or probe.sample_rate_hz
    with supervisor.open(
        argv.decode(source, rate, channels),
        what=f"decode {file_name!r}",
        stdout=True,
        stall_timeout_s=stall_timeout_s,
        timeout_s=timeout_s,
        limits=supervisor.limits.reading(),
    ) as process:
        matrix = None if channels == ("FL", "FR") else stereo_matrix(channels)
        most = None if max_duration_s is None else round(max_duration_s * rate)

        def run() -> Generator[Block, None, None]:
            try:
                for block in _raw_blocks(process, len(channels), block_frames):
                    if most is not None and decoder.frames + len(block) > most:
                        raise too_long(file_name, most / rate)
                    _check_samples(block, decoder.frames, rate, file_name)
                    yield block if matrix is None else to_stereo(block, matrix)
                stderr = process.finish().stderr
            except (FFmpegFailed, CpuTimeSpent) as failure:
                raise explain(failure, file_name) from failure
            decoder.warnings = judge(
                damage(stderr),
                source,
                probe,
                decoded_frames=decoder.frames,
                sample_rate_hz=rate,
                file_name=file_name,
                accept_truncated=accept_truncated,
            )

        decoder = Decoder(run())
        yield decoder


@contextmanager
def decode_adts(
    supervisor: Supervisor,
    path: Path,
    *,
    sample_rate_hz: int,
    block_frames: int = BLOCK_FRAMES,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    timeout_s: float = TIMEOUT_S,
) -> Iterator[Blocks]:
    """Decode our own stereo encode: every sample that the decoder yields, its lead included.

    Raises ``FFmpegFailed`` at the end if the decoder complained of anything at all.
    """
    what = f"decode {path.name} at {sample_rate_hz} Hz"

    def run() -> Blocks:
        yield from _raw_blocks(process, 2, block_frames)
        stderr = process.finish().stderr
        if damage(stderr).packets:
            raise FFmpegFailed(what, 0, stderr)

    with supervisor.open(
        argv.decode_adts(path),
        what=what,
        stdout=True,
        stall_timeout_s=stall_timeout_s,
        timeout_s=timeout_s,
    ) as process:
        yield run()


def _raw_blocks(process: Process, channels: int, block_frames: int) -> Generator[Block, None, None]:
    """Yield what comes down the pipe as ``(block_frames, channels)`` arrays, the last shorter."""
    frame_bytes = channels * _SAMPLE_BYTES
    while True:
        block = np.empty((block_frames, channels), np.float32)
        view = block.data.cast("B")
        filled = 0
        while filled < len(view) and (count := process.readinto(view[filled:])):
            filled += count
        frames, rest = divmod(filled, frame_bytes)
        if rest:
            raise FFmpegFailed(process.what, 0, f"its output ends {rest} bytes into a frame")
        if frames:
            yield block[:frames]
        if frames < block_frames:
            return


def _check_samples(block: Block, first_frame: int, rate_hz: int, file_name: str) -> None:
    """Raise ``CorruptMedia`` at the first sample that is NaN, infinite or beyond all sound."""
    if float(block.min()) >= -_LOUDEST and float(block.max()) <= _LOUDEST:  # False for NaN
        return
    sound = (np.abs(block) <= _LOUDEST).all(axis=1)
    at_s = (first_frame + int(np.argmin(sound))) / rate_hz
    raise CorruptMedia(
        f"{file_name!r} has a sample that is not a number, or far too large for one, "
        f"{at_s:.3f} s into the audio. Export it again and upload the new file."
    )
