"""Reference matching, as a decision: two profiles → the gain of mid and of side by frequency. Pure.

Both spectra are smoothed alike and the reference is brought to the source's loudness; what the
source then lacks or has too much of in a band is what the curve gives or takes: smooth, within
guard rails, and shifted as a whole until the K-weighted loudness of the source stays where it
is. Where either programme has no energy, nothing is asked for. The side is raised no further
than mono allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.bands import (
    BANDS,
    BANDS_PER_OCTAVE,
    CENTRES_HZ,
    K_WEIGHTS,
    decibels,
    power,
    weighted_power,
)
from audio_processor.errors import MasteringRejected
from audio_processor.mastering.profile import Profile, third_octave_db
from audio_processor.model import MatchFigures

DISTANCE_BANDS = slice(1, 30)
"""25 Hz to 16 kHz of ``profile.THIRD_OCTAVES_HZ``."""

_THIRD = BANDS_PER_OCTAVE // 3
_COMPARED_OCTAVES = 1 / 3
"""How wide the bands are that are to hold as much as the reference's."""
_REFINEMENTS = 6
_BISECTIONS = 40
_LARGEST_DB = 24.0
_GUARD_STEPS = 16
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True)
class Guards:
    """How far a match may go; the defaults are what users are promised."""

    max_change_db: float = 6.0
    """At every frequency, up or down."""
    treble_hz: float = 8000.0
    max_treble_boost_db: float = 2.8
    max_treble_cut_db: float = 1.2
    smoothing_octaves: float = 1 / 4
    """Width of the curve's finest feature (at half its height) …"""
    smoothing_hz: float = 8.0
    """… and its width in the bass: about the inverse is how long before and after itself the
    filter may ring."""
    floor_db: float = 75.0
    """A 1/12 octave so far below the programme's loudness holds no music …"""
    cliff_db: float = 24.0
    """… nor does anything beyond a fall of so much within 1/3 octave that is not made good
    further on: there ends the band of a codec or a converter."""

    correlation_floor: float = 0.2
    """The curves take left and right's correlation no lower, or than it was where that is less."""


@dataclass(frozen=True, slots=True, eq=False)
class MatchCurve:
    """Gains in dB by frequency, of mid and of side; in between, straight over log f."""

    frequencies_hz: NDArray[np.float64]
    mid_db: NDArray[np.float64]
    side_db: NDArray[np.float64]

    @property
    def is_flat(self) -> bool:
        """Whether it changes nothing."""
        return not (self.mid_db.any() or self.side_db.any())

    def figures(self, profile_sha256: str) -> MatchFigures:
        """Return how far the curves go, under the reference's fingerprint."""
        return MatchFigures(profile_sha256, _extremes(self.mid_db), _extremes(self.side_db))


FLAT = MatchCurve(CENTRES_HZ, np.zeros(BANDS), np.zeros(BANDS))


def design(
    source: Profile,
    reference: Profile,
    strength_percent: float = 100.0,
    guards: Guards = Guards(),
) -> MatchCurve:
    """Return the curve that brings the source's spectrum to the reference's.

    Half the strength asks for half the difference in dB. A source without loudness (silent,
    or under 0.4 s) gets the flat curve; for such a reference ``MasteringRejected`` is raised.
    """
    if not reference.is_audible:
        raise MasteringRejected(
            "The reference is silent or shorter than 0.4 s: it has no loudness to match."
        )
    if not source.is_audible or strength_percent == 0.0:
        return FLAT
    rails = _Rails(source, guards)
    blur = _smoothing(_COMPARED_OCTAVES, guards.smoothing_hz).T
    there = _occupied(source, guards) & _occupied(reference, guards)
    if not there.any():
        return FLAT
    bands, goal = _bands(source), _bands(reference)
    goal *= weighted_power(bands) / weighted_power(goal)
    goal_db = decibels(goal @ blur)
    wanted_db = np.zeros((2, BANDS))
    for _ in range(_REFINEMENTS):
        reached = bands * power(rails.loudness_kept(wanted_db))
        missing_db = goal_db[there] - decibels(reached @ blur)[there]
        # what the programme as a whole lacks is loudness, and that is not to move
        wanted_db[there] += missing_db - _median(missing_db, (reached * K_WEIGHTS)[there])
        np.clip(wanted_db, -_LARGEST_DB, _LARGEST_DB, out=wanted_db)
    wanted_db *= strength_percent / 100.0
    mid_db, side_db = _mono_kept(rails, wanted_db, bands, guards.correlation_floor)
    return MatchCurve(CENTRES_HZ, mid_db, side_db)


def foreseen_correlation(source: Profile, curve: MatchCurve = FLAT) -> float:
    """Return left and right's correlation −1…1 under the curve, by the energies of mid and side.

    Exact where left and right are equally loud. The source has to be audible.
    """
    return _correlation(_bands(source), np.array([curve.mid_db, curve.side_db]))


def matched(source: Profile, curve: MatchCurve) -> Profile:
    """Return the source's profile as it will be: its spectrum under the curve; levels stay."""
    return replace(
        source,
        mid_db=source.mid_db + np.interp(CENTRES_HZ, curve.frequencies_hz, curve.mid_db),
        side_db=source.side_db + np.interp(CENTRES_HZ, curve.frequencies_hz, curve.side_db),
        passages=None,
    )


def distance_db(one: Profile, other: Profile) -> float | None:
    """Return how far apart two programmes' spectra are, in dB; None where one has no loudness.

    The mean, over the 1/3 octaves from 25 Hz to 16 kHz that both have, of the magnitude of
    the difference of their mid levels, each over its own integrated loudness.
    """
    if not (one.is_audible and other.is_audible):
        return None
    levels = []
    for profile in (one, other):
        assert profile.loudness.integrated_lufs is not None
        levels.append(third_octave_db(profile)[DISTANCE_BANDS] - profile.loudness.integrated_lufs)
    both = np.isfinite(levels[0]) & np.isfinite(levels[1])
    return float(np.abs(levels[0][both] - levels[1][both]).mean()) if both.any() else None


def _mono_kept(
    rails: _Rails,
    wanted_db: NDArray[np.float64],
    bands: NDArray[np.float64],
    floor: float,
) -> NDArray[np.float64]:
    """Return allowed gains under which the correlation is not below the floor, or what it was.

    The side as a whole is lowered as little as that takes. Where the rails leave too little
    room for it, as above 8 kHz, the match goes less of the way instead.
    """
    least = min(_correlation(bands, np.zeros((2, BANDS))), floor) - _ROUNDING

    def holds(gains_db: NDArray[np.float64]) -> bool:
        return _correlation(bands, gains_db) >= least

    def lowered(by_db: float) -> NDArray[np.float64]:
        return rails.loudness_kept(wanted_db - np.array([[0.0], [by_db]]))

    def shortened(by: float) -> NDArray[np.float64]:
        return rails.loudness_kept(wanted_db * (1.0 - by))

    gains_db = lowered(0.0)
    if holds(gains_db):
        return gains_db
    for step, most in ((lowered, 2.0 * _LARGEST_DB), (shortened, 1.0)):
        found = _least(step, most, holds)
        if found is not None:
            return found
    return np.zeros((2, BANDS))


def _least(
    step: Callable[[float], NDArray[np.float64]],
    most: float,
    holds: Callable[[NDArray[np.float64]], bool],
) -> NDArray[np.float64] | None:
    """Return what the smallest step that holds makes, or None where ``most`` does not hold."""
    found = step(most)
    if not holds(found):
        return None
    low, high = 0.0, most
    for _ in range(_GUARD_STEPS):
        middle = (low + high) / 2.0
        gains_db = step(middle)
        if holds(gains_db):
            high, found = middle, gains_db
        else:
            low = middle
    return found


def _correlation(bands: NDArray[np.float64], gains_db: NDArray[np.float64]) -> float:
    mid, side = (bands * power(gains_db)).sum(axis=1)
    return float((mid - side) / (mid + side))


class _Rails:
    """What turns wanted gains, ``(2, BANDS)`` in dB, into allowed ones."""

    def __init__(self, source: Profile, guards: Guards) -> None:
        smoothing = _smoothing(guards.smoothing_octaves, guards.smoothing_hz)
        # the last band below the treble counts as treble: the curve is straight up to the next
        treble = np.append(CENTRES_HZ[1:], np.inf) > guards.treble_hz
        highest = np.where(treble, guards.max_treble_boost_db, guards.max_change_db)
        lowest = np.where(treble, -guards.max_treble_cut_db, -guards.max_change_db)
        # smoothing is a mean: it stays within what every band that it reaches is allowed
        reached = smoothing > 0.0
        self._smoothing = smoothing
        self._highest = np.where(reached, highest[:, np.newaxis], np.inf).min(axis=0)
        self._lowest = np.where(reached, lowest[:, np.newaxis], -np.inf).max(axis=0)
        self._bands = _bands(source)
        self._passages = source.passages
        self._before = self._loudness(np.ones((2, BANDS)))

    def allowed(self, wanted_db: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(wanted_db, self._lowest, self._highest) @ self._smoothing.T

    def loudness_kept(self, wanted_db: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return allowed gains, as wanted but for a common shift, that move no loudness.

        More shift is never less loudness (but where a gate lets a passage in): bisection.
        """
        low_db, high_db = -2.0 * _LARGEST_DB, 2.0 * _LARGEST_DB
        for _ in range(_BISECTIONS):
            shift_db = (low_db + high_db) / 2.0
            gains_db = self.allowed(wanted_db + shift_db)
            if self._loudness(power(gains_db)) > self._before:
                high_db = shift_db
            else:
                low_db = shift_db
        return gains_db

    def _loudness(self, gains: NDArray[np.float64]) -> float:
        """Return the source's K-weighted power under the gains: of what passes the gates."""
        if self._passages is None:
            return weighted_power(self._bands * gains)
        return self._passages.gated_power(gains)


def _extremes(gain_db: NDArray[np.float64]) -> tuple[float, float]:
    return float(gain_db.min()), float(gain_db.max())


def _bands(profile: Profile) -> NDArray[np.float64]:
    return power(np.array([profile.mid_db, profile.side_db]))


def _smoothing(octaves: float, least_hz: float) -> NDArray[np.float64]:
    """Return the matrix whose row ``i`` averages what is around band ``i``: a raised cosine."""
    low_hz = np.maximum(CENTRES_HZ - least_hz / 2.0, CENTRES_HZ / 2.0)
    bass_octaves = np.log2((low_hz + least_hz) / low_hz)
    width = BANDS_PER_OCTAVE * np.maximum(octaves, bass_octaves)[:, np.newaxis]
    away = np.abs(np.arange(BANDS) - np.arange(BANDS)[:, np.newaxis])
    weights = np.where(away < width, 1.0 + np.cos(np.pi * away / width), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the value below and above which lies half of the weight."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2.0)])


def _occupied(profile: Profile, guards: Guards) -> NDArray[np.bool_]:
    """Return where mid and side, ``(2, BANDS)``, hold more than a noise floor or nothing."""
    floor_db = decibels(np.array(weighted_power(_bands(profile)))) - guards.floor_db
    return np.array(
        [_above(each, float(floor_db), guards) for each in (profile.mid_db, profile.side_db)]
    )


def _above(band_db: NDArray[np.float64], floor_db: float, guards: Guards) -> NDArray[np.bool_]:
    there = band_db > floor_db
    middle = int(np.searchsorted(CENTRES_HZ, 1000.0))
    upper, lower = slice(middle, None), slice(middle - 1, None, -1)
    there[upper] &= _before_a_cliff(band_db[upper], guards.cliff_db)
    there[lower] &= _before_a_cliff(band_db[lower], guards.cliff_db)
    return np.asarray(there)


def _before_a_cliff(outward_db: NDArray[np.float64], cliff_db: float) -> NDArray[np.bool_]:
    """Return which bands, from the middle outward, come before a fall that lasts to the end."""
    for edge in range(_THIRD, outward_db.size - _THIRD):
        usual_db = float(np.median(outward_db[edge - _THIRD : edge]))
        if outward_db[edge + _THIRD :].max() < usual_db - cliff_db:
            return np.arange(outward_db.size) < edge
    return np.ones(outward_db.size, np.bool_)
