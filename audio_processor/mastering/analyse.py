"""Analyse: one decode through the mastering chain, everything measured on the way."""

from __future__ import annotations

from collections.abc import Iterator

from audio_processor.dsp.measure import Measurer, SourceTap
from audio_processor.dsp.spectrum import SpectrumMeter
from audio_processor.errors import CorruptMedia
from audio_processor.mastering.chain import Chain, ChainWatch
from audio_processor.model import Analysis, Blocks, Loudness

MIN_GATED_S = 0.4
"""One gating block of BS.1770-5: below it integrated loudness does not exist."""


def analyse(blocks: Blocks, sample_rate_hz: int, chain: Chain) -> Analysis:
    """Consume the decoded programme, ``(frames, 2)`` blocks, and return its measurements.

    With an empty chain source and mastered are one signal and are measured once. The facts
    are always the source's. Raises ``CorruptMedia`` when there is no audio at all, or NaN or
    Inf in it.
    """
    tap = SourceTap() if chain.stages else None
    watch = ChainWatch()
    measurer = Measurer(sample_rate_hz, 2, repair=tap is None)
    spectrum = SpectrumMeter(sample_rate_hz)
    repaired = tap(blocks, sample_rate_hz) if tap else blocks
    for block in chain(repaired, sample_rate_hz, watch):
        measurer.push(block)
        spectrum.push(block)
    measured = measurer.result()
    if measured.frames == 0:
        raise CorruptMedia("The file holds no audio: not one sample could be decoded.")
    return Analysis(
        sample_rate_hz=sample_rate_hz,
        channels=2,
        frames=measured.frames,
        source=tap.loudness() if tap else measured.loudness,
        mastered=measured.loudness,
        envelope=measured.envelope,
        facts=tap.facts() if tap else measured.facts,
        waveform=measured.waveform,
        spectrum=spectrum.result(),
        stages=watch.result(),
        warnings=tuple(_warnings(measured.loudness, measured.frames / sample_rate_hz)),
    )


def _warnings(loudness: Loudness, duration_s: float) -> Iterator[str]:
    if duration_s < MIN_GATED_S:
        ms = duration_s * 1000
        yield f"The track is {ms:.0f} ms long: too short to have a loudness; it is not levelled."
    elif loudness.integrated_lufs is None:
        yield "The track is silent; it is delivered as it is."
