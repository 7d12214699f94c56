"""``auto``: the preset that suits a track's sound, and the figures that speak for it. Pure.

The first rule that holds decides; they stand in the order of the harm that a wrong choice does:
first what must be left alone, then what is out of balance, then what might gain a little.
Low (below 250 Hz) and high (above 4 kHz) are shares of the programme's power. Of the 28 tracks
of ``bench/corpus`` half have −2.5 dB or more of it low and −23 dB or more of it high; four fifths
of them lie between −4.9 and −1.0 dB, and between −35 and −16 dB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio_processor.mastering.profile import Profile

CRUSHED_PLR_DB = 9.0
"""Peak to loudness of a master that was limited hard already."""
OUT_OF_PHASE = -0.1
WIDE_RANGE_LU = 12.0
"""A loudness range that film and orchestra have, and songs do not."""
DULL_DB, HARSH_DB = -30.0, -14.0
"""High share."""
THIN_DB, BOOMY_DB = -6.0, -0.8
"""Low share: a quarter of the power, and five sixths of it."""
DENSE_PLR_DB = 12.0
LOOSE_PLR_DB = 15.0
"""Peak to loudness of a mix that no compressor has held together."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A preset, and one sentence that says why."""

    preset: str
    reason: str


def choose(profile: Profile) -> Choice:
    """Return the preset for a track with this profile: the same for the same figures."""
    from audio_processor.mastering.profile import balance

    spread = balance(profile)
    plr_db, loudness = profile.crest_db, profile.loudness.integrated_lufs
    if spread is None or plr_db is None or loudness is None:
        return Choice("transparent", "There is nothing loud enough to judge the sound by.")
    sound = _Sound(
        loudness_lufs=loudness,
        range_lu=profile.loudness.range_lu or 0.0,
        plr_db=plr_db,
        low_db=spread.low_db,
        high_db=spread.high_db,
        correlation=1.0 if profile.correlation is None else profile.correlation,
    )
    return next(choice for holds, choice in _rules(sound) if holds)


@dataclass(frozen=True, slots=True)
class _Sound:
    loudness_lufs: float
    range_lu: float
    plr_db: float
    low_db: float
    high_db: float
    correlation: float


def _rules(sound: _Sound) -> Iterator[tuple[bool, Choice]]:
    """Yield whether each rule holds, and what follows; the last one always does."""
    s, peaks = sound, f"its peaks stand {sound.plr_db:.1f} dB above its loudness"
    yield (
        s.plr_db < CRUSHED_PLR_DB,
        Choice(
            "transparent",
            f"It is mastered hard already, at {s.loudness_lufs:.1f} LUFS: {peaks}, and more "
            "processing could only add distortion.",
        ),
    )
    yield (
        s.correlation < OUT_OF_PHASE,
        Choice(
            "transparent",
            f"Left and right are out of phase, with a correlation of {s.correlation:.2f}: "
            "what would change the width or the bass is better left to a mixing engineer.",
        ),
    )
    yield (
        s.range_lu >= WIDE_RANGE_LU,
        Choice(
            "cinematic",
            f"Its loudness range of {s.range_lu:.1f} LU is that of film or orchestra, which "
            "lives by its dynamics.",
        ),
    )
    yield from _of_tone(s)
    yield (
        s.plr_db >= LOOSE_PLR_DB,
        Choice(
            "hi-fi-streaming",
            f"Its tone is balanced, and {peaks}: a mix that some gentle compression holds "
            "together.",
        ),
    )
    yield (
        True,
        Choice(
            "transparent",
            f"Its tone is balanced ({s.low_db:.1f} dB below 250 Hz, {s.high_db:.1f} above 4 kHz) "
            f"and {peaks}: there is nothing to mend.",
        ),
    )


def _of_tone(s: _Sound) -> Iterator[tuple[bool, Choice]]:
    high = f"what lies above 4 kHz is {s.high_db:.1f} dB of its power, where -23 is usual"
    low = f"what lies below 250 Hz is {s.low_db:.1f} dB of its power, where -2.5 is usual"
    yield s.high_db <= DULL_DB, Choice("bright", f"It sounds dull: {high}.")
    yield s.high_db >= HARSH_DB, Choice("warm", f"It sounds sharp: {high}.")
    yield s.low_db <= THIN_DB, Choice("bass-boost", f"It sounds thin: {low}.")
    yield (
        s.low_db >= BOOMY_DB and s.plr_db < DENSE_PLR_DB,
        Choice(
            "club",
            f"It is carried by a dense bass: {low}, and its peaks stand only {s.plr_db:.1f} dB "
            "above its loudness.",
        ),
    )
    yield (
        s.low_db >= BOOMY_DB,
        Choice("vocal-clarity", f"Its bass covers what is above it: {low}."),
    )
