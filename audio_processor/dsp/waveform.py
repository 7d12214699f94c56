"""Minimum and maximum per pixel, for drawing a track (bbc/audiowaveform's data, version 2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.intake import BACK_FRAMES, Chunk
from audio_processor.dsp.jit import kernel
from audio_processor.model import Waveform

PIXELS_PER_S = 100
MAX_PIXELS = 65_536
"""Ten minutes at full detail; beyond, pixels are merged in pairs, so memory is bounded."""

_LOWEST = np.iinfo(np.int32).min
_HIGHEST = np.iinfo(np.int32).max


class WaveformTally:
    """Collects the waveform of a stream of chunks.

    Samples are kept as integers in the order of the floats they stand for (``_ordered``),
    for an integer's minimum and maximum are what a vector unit is quick at.
    """

    def __init__(self, sample_rate_hz: int, channels: int) -> None:
        self._rate_hz = sample_rate_hz
        self._samples_per_pixel = max(1, round(sample_rate_hz / PIXELS_PER_S))
        self._pixels = np.empty((MAX_PIXELS, channels, 2), dtype=np.int32)
        self._count = 0
        self._open = np.tile(np.array([_HIGHEST, _LOWEST], dtype=np.int32), (channels, 1))
        self._open_frames = 0

    def take(self, chunk: Chunk) -> None:
        """Take a chunk."""
        bits = chunk.samples.view(np.int32)
        at = BACK_FRAMES
        after = BACK_FRAMES + chunk.frames
        while at < after:
            room = (MAX_PIXELS - self._count) * self._samples_per_pixel - self._open_frames
            end = min(after, at + room)
            closed, self._open_frames = _draw(
                bits, at, end, self._samples_per_pixel,
                self._open, self._open_frames, self._pixels[self._count :],
            )  # fmt: skip
            self._count += closed
            at = end
            if self._count == MAX_PIXELS:
                self._merge_pairs()

    def _merge_pairs(self) -> None:
        first, second = self._pixels[0::2], self._pixels[1::2]
        self._count = MAX_PIXELS // 2
        merged = self._pixels[: self._count]
        merged[:, :, 0] = np.minimum(first[:, :, 0], second[:, :, 0])
        merged[:, :, 1] = np.maximum(first[:, :, 1], second[:, :, 1])
        self._samples_per_pixel *= 2

    def waveform(self) -> Waveform:
        """Return the waveform of what was taken so far; full scale is ±32767, and clips."""
        pixels = self._pixels[: self._count]
        if self._open_frames:
            pixels = np.concatenate((pixels, self._open[np.newaxis]))
        floats = (pixels ^ ((pixels >> 31) & _HIGHEST)).view(np.float32)
        data = np.rint(np.clip(floats, -1.0, 1.0) * np.float32(32767)).astype(np.int16)
        return Waveform(self._rate_hz, self._samples_per_pixel, pixels.shape[1], data)


@kernel()
def _draw(
    bits: NDArray[np.int32],
    begin: int,
    end: int,
    samples_per_pixel: int,
    opened: NDArray[np.int32],
    open_frames: int,
    pixels: NDArray[np.int32],
) -> tuple[int, int]:
    """Draw the frames; return the pixels closed and the frames in the one left open."""
    closed = 0
    at = begin
    while at < end:
        stop = min(end, at + samples_per_pixel - open_frames)
        for channel in range(bits.shape[0]):
            plane = bits[channel, at:stop]
            lowest = opened[channel, 0]
            highest = opened[channel, 1]
            for i in range(plane.size):
                # two's complement of a negative float's magnitude: the order of the floats
                value = plane[i] ^ ((plane[i] >> np.int32(31)) & np.int32(_HIGHEST))
                lowest = min(lowest, value)
                highest = max(highest, value)
            opened[channel, 0] = lowest
            opened[channel, 1] = highest
        open_frames += stop - at
        at = stop
        if open_frames == samples_per_pixel:
            pixels[closed] = opened
            opened[:, 0] = _HIGHEST
            opened[:, 1] = _LOWEST
            closed += 1
            open_frames = 0
    return closed, open_frames
