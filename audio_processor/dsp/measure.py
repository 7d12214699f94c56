"""The meters that the line uses: everything about a source, or the levels of a delivery.

One pass each, in bounded memory but for the envelope (8 bytes per 5 ms: 18 MB for three
hours). Whatever is pushed, in blocks of whatever length, the result is the same to the bit.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.facts import FactsTally
from audio_processor.dsp.filters import KWeightedEnergy
from audio_processor.dsp.gating import HopLayout, hop_layout
from audio_processor.dsp.intake import CHUNK_TENTHS, Chunk, Intake
from audio_processor.dsp.loudness import LoudnessTally
from audio_processor.dsp.repair import interleaved
from audio_processor.dsp.true_peak import HopPeaks, decibels
from audio_processor.dsp.waveform import WaveformTally
from audio_processor.model import Block, Envelope, Loudness, SignalFacts, Waveform


@dataclass(frozen=True, slots=True)
class Measurement:
    """All that one pass over a programme tells."""

    frames: int
    loudness: Loudness
    envelope: Envelope
    facts: SignalFacts
    waveform: Waveform


@dataclass(frozen=True, slots=True)
class _HopLevels:
    """A chunk, hop by hop."""

    energy_sums: NDArray[np.float64]
    sample_peaks: NDArray[np.float32]
    true_peaks: NDArray[np.float32]


class _LevelTally:
    """Loudness and peaks of a stream of chunks."""

    def __init__(
        self,
        sample_rate_hz: int,
        channels: int,
        layout: HopLayout,
        channel_weights: tuple[float, ...] | None,
    ) -> None:
        self._energy = KWeightedEnergy(sample_rate_hz, channels, layout.hop_frames, channel_weights)
        self._peaks = HopPeaks(sample_rate_hz, layout)
        self._loudness = LoudnessTally(layout)
        self._sample_peak = 0.0
        self._true_peak = 0.0

    def take(self, chunk: Chunk) -> _HopLevels:
        sums = self._energy.take(chunk)
        self._loudness.add(sums, chunk.frames)
        sample_peaks, true_peaks = self._peaks.of(chunk)
        self._sample_peak = max(self._sample_peak, float(sample_peaks.max()))
        self._true_peak = max(self._true_peak, float(true_peaks.max()))
        return _HopLevels(sums, sample_peaks, true_peaks)

    def loudness(self) -> Loudness:
        return self._loudness.figures(
            true_peak_dbtp=decibels(self._true_peak), sample_peak_dbfs=decibels(self._sample_peak)
        )


class LevelMeter:
    """Loudness, true peak and sample peak in one pass: what verifies a delivered rendition.

    Conventions are ``LoudnessMeter``'s and ``TruePeakMeter``'s. Nothing is repaired or left
    out: a spike in a delivery is a fault of the delivery.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        channels: int,
        channel_weights: tuple[float, ...] | None = None,
    ) -> None:
        layout = hop_layout(sample_rate_hz)
        self._intake = Intake(sample_rate_hz, channels, CHUNK_TENTHS * layout.tenth_frames)
        self._levels = _LevelTally(sample_rate_hz, channels, layout, channel_weights)

    @property
    def frames(self) -> int:
        """Frames pushed so far."""
        return self._intake.frames

    def push(self, block: Block) -> None:
        """Take a block of shape ``(frames, channels)``, of any length.

        Raises ``CorruptMedia`` for NaN or infinity, ``ValueError`` once it was read out.
        """
        for chunk in self._intake.push(block):
            self._levels.take(chunk)

    def result(self) -> Loudness:
        """Close the meter and return its figures."""
        for chunk in self._intake.rest():
            self._levels.take(chunk)
        return self._levels.loudness()


class SourceTap:
    """A stage that repairs a source's decoder spikes and learns its levels and facts.

    It stands before a mastering chain, which a spike would excite and which may take away
    what the facts tell of: DC, clipping. ``loudness`` and ``facts`` once the stream has ended.
    """

    def __init__(self) -> None:
        self._levels: _LevelTally | None = None
        self._facts: FactsTally | None = None
        self._spikes = 0

    def __call__(self, blocks: Iterator[Block], sample_rate_hz: int) -> Iterator[Block]:
        """Yield the repaired stream in blocks of the tap's own size.

        Raises ``CorruptMedia`` for NaN or infinity.
        """
        layout = hop_layout(sample_rate_hz)
        intake: Intake | None = None
        for block in blocks:
            if intake is None:
                channels = block.shape[1]
                size = CHUNK_TENTHS * layout.tenth_frames
                intake = Intake(sample_rate_hz, channels, size, repair=True)
                self._levels = _LevelTally(sample_rate_hz, channels, layout, None)
                self._facts = FactsTally(sample_rate_hz, channels, layout.hop_frames)
            for chunk in intake.push(block):
                yield self._take(chunk)
        if intake is not None:
            for chunk in intake.rest():
                yield self._take(chunk)
            self._spikes = intake.spikes

    def loudness(self) -> Loudness:
        """Return the source's levels; none of a stream that never was."""
        if self._levels is None:
            return Loudness(None, None, None, None, None, None)
        return self._levels.loudness()

    def facts(self) -> SignalFacts:
        """Return the source's facts."""
        if self._facts is None:
            return SignalFacts(0, 0.0, 0.0, (), None, 0)
        return self._facts.facts(self._spikes)

    def _take(self, chunk: Chunk) -> Block:
        assert self._levels is not None and self._facts is not None
        self._facts.take(chunk, self._levels.take(chunk).sample_peaks)
        return interleaved(chunk)


class Measurer:
    """Everything the analysis wants of a source, in one pass.

    Decoder spikes (``dsp.spikes`` has the rule) are repaired before anything is measured,
    so they show in ``facts.decoder_spikes`` and nowhere else. What is rendered must be
    repaired by the same rule: ``repair.RepairSpikes``. ``repair=False`` is for what comes out
    of a mastering chain, whose ``SourceTap`` has done it.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        channels: int,
        channel_weights: tuple[float, ...] | None = None,
        *,
        repair: bool = True,
    ) -> None:
        layout = hop_layout(sample_rate_hz)
        self._rate_hz = sample_rate_hz
        self._hop_frames = layout.hop_frames
        self._intake = Intake(
            sample_rate_hz, channels, CHUNK_TENTHS * layout.tenth_frames, repair=repair
        )
        self._levels = _LevelTally(sample_rate_hz, channels, layout, channel_weights)
        self._facts = FactsTally(sample_rate_hz, channels, layout.hop_frames)
        self._waveform = WaveformTally(sample_rate_hz, channels)
        self._peaks = array("f")
        self._energies = array("f")

    def push(self, block: Block) -> None:
        """Take a block of shape ``(frames, channels)``, of any length.

        Raises ``CorruptMedia`` for NaN or infinity, ``ValueError`` once it was read out.
        """
        for chunk in self._intake.push(block):
            self._take(chunk)

    def result(self) -> Measurement:
        """Close the meter and return all that it found."""
        for chunk in self._intake.rest():
            self._take(chunk)
        frames = self._intake.frames
        envelope = Envelope(
            hop_frames=self._hop_frames,
            sample_rate_hz=self._rate_hz,
            frames=frames,
            peak=np.asarray(self._peaks, dtype=np.float32),
            energy=np.asarray(self._energies, dtype=np.float32),
        )
        return Measurement(
            frames=frames,
            loudness=self._levels.loudness(),
            envelope=envelope,
            facts=self._facts.facts(self._intake.spikes),
            waveform=self._waveform.waveform(),
        )

    def _take(self, chunk: Chunk) -> None:
        hops = self._levels.take(chunk)
        self._facts.take(chunk, hops.sample_peaks)
        self._waveform.take(chunk)
        self._peaks.frombytes(hops.true_peaks.tobytes())
        lengths = np.full(hops.energy_sums.size, self._hop_frames)
        lengths[-1] = chunk.frames - (lengths.size - 1) * self._hop_frames
        means = np.minimum(hops.energy_sums / lengths, np.finfo(np.float32).max)
        self._energies.frombytes(means.astype(np.float32).tobytes())
