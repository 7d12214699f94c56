"""Short-term masking: which bands bury their neighbours at a moment, and how far each is dipped.

Of each frame's spectrum the power is known in bands one Bark apart (H. Traunmüller, "Analytical
expressions for the tonotopic sensory scale", JASA 88, 1990). A band is dipped as far as it

* *masks*: its power, spread over the basilar membrane (M. R. Schroeder, B. S. Atal, J. L. Hall,
  "Optimizing digital speech coders by exploiting masking properties of the human ear", JASA 66,
  1979) and lowered by 6 dB (a noise masks what is 5.5 dB below: J. D. Johnston, "Transform
  Coding of Audio Signals Using Perceptual Noise Criteria", IEEE JSAC 6(2), 1988), lies above
  what its neighbours two to four bands away have themselves, now or in the mean of the last
  seconds, whichever is less: the splatter of an onset is nobody's content;
* *is the masker*: a band below the ones beside it holds a masker's skirt, no masker;
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
NEAREST, FARTHEST = 2, 4
"""Neighbours, in bands: nearer ones share the masker's own bins."""
FULL_FROM_DB, FULL_TO_DB, HOPELESS_DB = 6.0, 12.0, 24.0
"""How far a neighbour is buried: a full reason to dip between the first two, none beyond."""
STANDS_OUT_FROM_DB, STANDS_OUT_TO_DB = 0.5, 3.0
"""How far above its own mean a band has to be for a dip, and for a full one."""
SKIRT_DB = 6.0
"""So far below the stronger of the two beside it, a band is only that one's skirt."""
FLOOR_DB = -80.0
"""A neighbour below this is no music; a full-scale sine has 0."""
LEAKAGE_DB = 50.0
"""So far below the masker, a neighbour is what the window leaks of it."""
MEAN_S, ATTACK_S, RELEASE_S = 2.0, 0.060, 0.150
"""Time constants: of a band's mean, of a dip's coming (a drum is over before) and going."""
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
        self.window = vorbis_window(self.frame_frames)
        lowest = bark(LOWEST_HZ)
        highest = bark(min(HIGHEST_HZ, HIGHEST_SHARE * sample_rate_hz))
        self.count = int(highest - lowest) + 1
        self.centres_hz = bark_hz(lowest + np.arange(self.count))
        bins_hz = np.arange(self.hop_frames + 1) * (sample_rate_hz / self.frame_frames)
        places = bark(bins_hz) - lowest
        inside = np.flatnonzero((places > -2.0) & (places < self.count + 1.0))
        self.first_bin = int(inside[0])
        """The first bin that a dip can reach, where ``places`` begins."""
        self.places = places[inside].astype(np.float32)
        """Each bin's place among the bands: 2.5 lies between the third and the fourth."""
        self.cast_db = spread_db(np.arange(-FARTHEST, FARTHEST + 1)) - MASKING_OFFSET_DB
        """What a band casts on those around it; the middle one is the band itself."""


class Masking:
    """One stream's detector: looks at spectrum after spectrum, ``depth_db`` at most a band."""

    def __init__(self, bands: Bands, depth_db: float) -> None:
        self._bands = bands
        self._depth_db = depth_db
        self._factor = float(2.0 / bands.window.sum()) ** 2  # a full-scale sine in a bin has 1
        self._keep = np.exp(-bands.hop_s / np.array([MEAN_S, ATTACK_S, RELEASE_S]))
        self._means = np.zeros(bands.count)
        self._cuts = np.zeros(bands.count)
        self._frames = 0

    def cuts(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Return ``1 − gain`` of each band in each frame, ``(frames, count)``.

        ``spectra`` are those of frames under the bands' window, ``(frames, bins)``.
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


def vorbis_window(frames: int) -> NDArray[np.float32]:
    """Return a window whose squares, half overlapping, add up to 1 (of the Vorbis I
    specification).

    What leaks past it is 60 dB down after eight bins, a sine window's 48.
    """
    sine = np.sin(np.pi * (np.arange(frames) + 0.5) / frames)
    return np.sin(np.pi / 2.0 * sine**2).astype(np.float32)


def bark(frequency_hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the critical-band rate (Traunmüller 1990)."""
    hertz = np.asarray(frequency_hz)
    return np.asarray(26.81 * hertz / (1960.0 + hertz) - 0.53)


def bark_hz(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the frequency at a critical-band rate."""
    return np.asarray(1960.0 * (rate + 0.53) / (26.28 - rate))


def spread_db(distance: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the spreading function so many Bark above the masker (Schroeder 1979)."""
    x = distance + 0.474
    return np.asarray(15.81 + 7.5 * x - 17.5 * np.sqrt(1.0 + x**2))


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
def share_of_masker(band: int, levels_db: NDArray[np.float64]) -> float:
    """How much a band is a masker of its own: 1 for a peak, 0 for another's skirt."""
    beside_db = max(levels_db[max(band - 1, 0)], levels_db[min(band + 1, levels_db.shape[0] - 1)])
    below_db = float(beside_db - levels_db[band])
    return max(0.0, min(1.0, 1.0 - below_db / SKIRT_DB))


@kernel()
def share_buried(
    level_db: float, own_db: NDArray[np.float64], band: int, cast_db: NDArray[np.float64]
) -> float:
    """How many of its neighbours a band buries that a dip could help: 1 from a third of them on."""
    reasons, neighbours = 0.0, 0
    floor_db = max(FLOOR_DB, level_db - LEAKAGE_DB)
    for offset in range(-FARTHEST, FARTHEST + 1):
        at = band + offset
        if abs(offset) < NEAREST or at < 0 or at >= own_db.shape[0]:
            continue
        neighbours += 1
        if own_db[at] > floor_db:
            threshold_db = level_db + cast_db[offset + FARTHEST]
            reasons += reason_to_dip(threshold_db - own_db[at])
    return min(1.0, 3.0 * reasons / max(neighbours, 1))


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
    levels_db, means_db, own_db = np.empty(bands), np.empty(bands), np.empty(bands)
    to_log = -math.log(10.0) / 20.0
    for row in range(rows):
        keep_mean = min(keep[0], 1.0 - 1.0 / (frames_before + row + 1))
        for band in range(bands):
            power = powers[row, band]
            levels_db[band] = 10.0 * math.log10(power + NOTHING)
            means[band] = power + keep_mean * (means[band] - power)
            means_db[band] = 10.0 * math.log10(means[band] + NOTHING)
            own_db[band] = min(levels_db[band], means_db[band])
        for band in range(bands):
            above_db = levels_db[band] - means_db[band] - STANDS_OUT_FROM_DB
            wanted = 0.0
            if above_db > 0.0 and levels_db[band] > FLOOR_DB:
                share = min(above_db / (STANDS_OUT_TO_DB - STANDS_OUT_FROM_DB), 1.0)
                share *= share_of_masker(band, levels_db)
                share *= share_buried(levels_db[band], own_db, band, cast_db)
                wanted = 1.0 - math.exp(to_log * depth_db * share)
            kept = keep[1] if wanted > smoothed[band] else keep[2]
            cut = wanted + kept * (smoothed[band] - wanted)
            smoothed[band] = cut if cut > NEGLIGIBLE else 0.0
            cuts[row, band] = np.float32(smoothed[band])
