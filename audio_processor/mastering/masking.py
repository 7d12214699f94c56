"""Short-term masking: which bands bury their neighbours at a moment, and how far each is dipped.

Of each frame's spectrum the power is known in bands one ERB apart (B. R. Glasberg, B. C. J.
Moore, "Derivation of auditory filter shapes from notched-noise data", Hearing Research 47,
1990). A band is dipped as far as it

* *masks*: its power, spread over the basilar membrane (M. R. Schroeder, B. S. Atal, J. L. Hall,
  "Optimizing digital speech coders by exploiting masking properties of the human ear", JASA 66,
  1979) and lowered by 6 dB (noise masking tone: J. D. Johnston, "Transform Coding of Audio
  Signals Using Perceptual Noise Criteria", IEEE JSAC 6(2), 1988), lies above what its
  neighbours two to five bands away have themselves;
* *could unmask*: not so far above that a dip of some decibels would reveal nothing. A solo
  tone, whose neighbours are empty, is left alone;
* *does so now*: it stands out above its own mean of the last seconds. What a programme always
  has is its tonal balance, and a matter for the static equaliser.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.jit import kernel

FRAME_S = 0.0464
"""2048 frames at 44.1 and 48 kHz; a power of two at every rate."""
LOWEST_HZ = 150.0
HIGHEST_HZ = 16_000.0
HIGHEST_SHARE = 0.45
"""Of the sample rate: no band above it."""

MASKING_OFFSET_DB = 6.0
NEAREST, FARTHEST = 2, 5
"""Neighbours, in bands: nearer ones share the masker's own bins."""
FULL_FROM_DB, FULL_TO_DB, HOPELESS_DB = 6.0, 12.0, 24.0
"""How far a neighbour is buried: a full reason to dip between the first two, none beyond."""
STANDS_OUT_DB = 4.0
"""Above its own mean by this much, a band's dip is full."""
FLOOR_DB = -80.0
"""A neighbour below this is no music; a full-scale sine has 0."""
MEAN_S, ATTACK_S, RELEASE_S = 2.0, 0.020, 0.150
"""Time constants: of a band's mean, of a dip's coming and going."""
NEGLIGIBLE = 1e-4
"""A dip of less than this (0.001 dB) is none."""
NOTHING = 1e-20
"""Power that stands in for none where a logarithm is taken."""


class Bands:
    """The bands at one rate: where they lie, how they spread, which bins they share."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.frame_frames = 2 ** round(math.log2(FRAME_S * sample_rate_hz))
        self.hop_frames = self.frame_frames // 2
        self.hop_s = self.hop_frames / sample_rate_hz
        lowest = erb_number(LOWEST_HZ)
        highest = erb_number(min(HIGHEST_HZ, HIGHEST_SHARE * sample_rate_hz))
        self.count = int(highest - lowest) + 1
        self.centres_hz = erb_number_hz(lowest + np.arange(self.count))
        bins_hz = np.arange(self.hop_frames + 1) * (sample_rate_hz / self.frame_frames)
        places = erb_number(bins_hz) - lowest
        inside = np.flatnonzero((places > -2.0) & (places < self.count + 1.0))
        self.first_bin = int(inside[0])
        """The first bin that a dip can reach, where ``places`` begins."""
        self.places = places[inside].astype(np.float32)
        """Each bin's place among the bands: 2.5 lies between the third and the fourth."""
        self.cast_db = spread_db(self.centres_hz) - MASKING_OFFSET_DB
        """What a band casts on those around it, ``(count, 2 × FARTHEST + 1)``."""


class Masking:
    """One stream's detector: looks at spectrum after spectrum, ``depth_db`` at most a band."""

    def __init__(self, bands: Bands, depth_db: float) -> None:
        self._bands = bands
        self._depth_db = depth_db
        self._factor = (np.pi / bands.frame_frames) ** 2  # a full-scale sine in a bin has 1
        self._keep = np.exp(-bands.hop_s / np.array([MEAN_S, ATTACK_S, RELEASE_S]))
        self._means = np.zeros(bands.count)
        self._cuts = np.zeros(bands.count)
        self._frames = 0

    def cuts(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return ``1 − gain`` of each band in each frame, ``(frames, count)``.

        ``spectra`` are those of frames under a sine window, ``(frames, bins)``.
        """
        bands, rows = self._bands, len(spectra)
        powers = np.zeros((rows, bands.count))
        band_powers(spectra, bands.first_bin, bands.places, self._factor, powers)
        cuts = np.empty((rows, bands.count), dtype=np.float32)
        decide_cuts(
            powers, bands.cast_db, self._depth_db, self._keep,
            self._frames, self._means, self._cuts, cuts,
        )  # fmt: skip
        self._frames += rows
        return cuts


def erb_number(frequency_hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the place on the ERB-number scale (Glasberg and Moore 1990, eq. 4)."""
    return np.asarray(21.4 * np.log10(1.0 + 0.00437 * np.asarray(frequency_hz)))


def erb_number_hz(number: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequency at a place on the ERB-number scale."""
    return np.asarray((10.0 ** (number / 21.4) - 1.0) / 0.00437)


def bark(frequency_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the critical-band rate (Zwicker and Terhardt, JASA 68, 1980)."""
    kilohertz = frequency_hz / 1000.0
    return np.asarray(13.0 * np.arctan(0.76 * kilohertz) + 3.5 * np.arctan((kilohertz / 7.5) ** 2))


def spread_db(centres_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spreading function from each band to those around it (Schroeder 1979).

    Shape ``(bands, 2 × FARTHEST + 1)``; column ``FARTHEST`` is the band itself.
    """
    places = bark(centres_hz)
    at = np.arange(places.size)[:, None] + np.arange(-FARTHEST, FARTHEST + 1)
    distance = places[np.clip(at, 0, places.size - 1)] - places[:, None] + 0.474
    return np.asarray(15.81 + 7.5 * distance - 17.5 * np.sqrt(1.0 + distance**2))


@kernel()
def band_powers(
    spectra: NDArray[np.complex64],
    first_bin: int,
    places: NDArray[np.float32],
    factor: float,
    powers: NDArray[np.float64],
) -> None:
    """Add up each band's power; a bin is shared by the two bands around its place."""
    bands = powers.shape[1]
    for row in range(powers.shape[0]):
        for k in range(places.shape[0]):
            value = spectra[row, first_bin + k]
            power = factor * (float(value.real) ** 2 + float(value.imag) ** 2)
            place = places[k]
            below = math.floor(place)
            share = place - below
            if 0 <= below < bands:
                powers[row, below] += (1.0 - share) * power
            if 0 <= below + 1 < bands:
                powers[row, below + 1] += share * power


@kernel()
def reason_to_dip(buried_db: float) -> float:
    """How much sense a dip makes for a neighbour that lies so far under what masks it, 0…1."""
    if buried_db <= 0.0 or buried_db >= HOPELESS_DB:
        return 0.0
    still_hope = (HOPELESS_DB - buried_db) / (HOPELESS_DB - FULL_TO_DB)
    return min(buried_db / FULL_FROM_DB, 1.0, still_hope)


@kernel()
def share_buried(band: int, levels_db: NDArray[np.float64], cast_db: NDArray[np.float64]) -> float:
    """How many of its neighbours a band buries that a dip could help: 1 from half of them on."""
    reasons, neighbours = 0.0, 0
    for offset in range(-FARTHEST, FARTHEST + 1):
        at = band + offset
        if abs(offset) < NEAREST or at < 0 or at >= levels_db.shape[0]:
            continue
        neighbours += 1
        if levels_db[at] > FLOOR_DB:
            threshold_db = levels_db[band] + cast_db[band, offset + FARTHEST]
            reasons += reason_to_dip(threshold_db - levels_db[at])
    return min(1.0, 2.0 * reasons / max(neighbours, 1))


@kernel()
def decide_cuts(
    powers: NDArray[np.float64],
    cast_db: NDArray[np.float64],
    depth_db: float,
    keep: NDArray[np.float64],
    frames_before: int,
    means: NDArray[np.float64],
    smoothed: NDArray[np.float64],
    cuts: NDArray[np.float32],
) -> None:
    """Write each frame's cuts; the bands' means and smoothed cuts are carried on."""
    rows, bands = powers.shape
    levels_db = np.empty(bands)
    to_log = -math.log(10.0) / 20.0
    for row in range(rows):
        keep_mean = min(keep[0], 1.0 - 1.0 / (frames_before + row + 1))
        for band in range(bands):
            power = powers[row, band]
            levels_db[band] = 10.0 * math.log10(power + NOTHING)
            means[band] = power + keep_mean * (means[band] - power)
        for band in range(bands):
            above_db = levels_db[band] - 10.0 * math.log10(means[band] + NOTHING)
            wanted = 0.0
            if above_db > 0.0 and levels_db[band] > FLOOR_DB:
                share = min(above_db / STANDS_OUT_DB, 1.0) * share_buried(band, levels_db, cast_db)
                wanted = 1.0 - math.exp(to_log * depth_db * share)
            kept = keep[1] if wanted > smoothed[band] else keep[2]
            cut = wanted + kept * (smoothed[band] - wanted)
            smoothed[band] = cut if cut > NEGLIGIBLE else 0.0
            cuts[row, band] = np.float32(smoothed[band])
