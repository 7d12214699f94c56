"""A profile as text: TOML that a person can read and compare, and a reader that is strict.

Bands stand four to a line, a 1/3 octave each. A band without energy is ``-inf``; a figure
that does not exist is left out. Reading and writing the file is the caller's.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_processor.dsp.bands import BANDS, BANDS_PER_OCTAVE
from audio_processor.mastering.parameters import Range
from audio_processor.mastering.profile import Profile
from audio_processor.mastering.refusal import Refused, number, shown, shown_key
from audio_processor.model import Loudness
from audio_processor.spelling import hint

FORMAT = "audio-processor profile"
VERSION = 1

_HEAD = f"""\
# What a programme sounds like in the long term, at any sample rate: a reference to match.
format = "{FORMAT}"
version = {VERSION}
"""
_SPECTRUM = """\
[spectrum]
# Mean square of each 1/12 octave from 17.5 Hz to 22.6 kHz, in dB, full scale = 0; a line is a
# 1/3 octave. Mid is (L + R) / 2 and side (L - R) / 2.
"""
_BANDS_PER_LINE = BANDS_PER_OCTAVE // 3
_NOMINAL_HZ = (
    20, 25, 31.5, 40, 50, 63, 80, 100, 125, 160,
    200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600,
    2000, 2500, 3150, 4000, 5000, 6300, 8000, 10000, 12500, 16000,
    20000,
)  # fmt: skip

FINGERPRINT_DIGITS = 16

_DURATION = Range(0.0, 1e6, "Length of what was measured.")
_CORRELATION = Range(-1.0, 1.0, "Left and right.")
_LEVEL = Range(-400.0, 100.0, "A level in LUFS, LU or dB.")
_PROGRAMME = ("duration_s", "correlation")
_LOUDNESS = tuple(each.name for each in fields(Loudness))
_SPECTRA = ("mid_db", "side_db")


def dump_profile(profile: Profile) -> str:
    """Return the profile as text that ``load_profile`` takes, to a thousandth of a dB.

    Raises ``ValueError`` for one without loudness: it is no reference.
    """
    if not profile.is_audible:
        raise ValueError("what is silent or shorter than 0.4 s has no profile to keep")
    programme = {"duration_s": profile.duration_s, "correlation": profile.correlation}
    spectra = (profile.mid_db, profile.side_db)
    return "\n".join(
        (
            _HEAD,
            _figures("programme", programme),
            _figures("loudness", asdict(profile.loudness)),
            _SPECTRUM + "".join(map(_bands, _SPECTRA, spectra)),
        )
    )


def fingerprint(profile: Profile) -> str:
    """Return the first 16 hex digits of the SHA-256 of the profile's text as it is written here.

    A file's comments and layout do not count, its figures do. Raises as ``dump_profile``.
    """
    return hashlib.sha256(dump_profile(profile).encode()).hexdigest()[:FINGERPRINT_DIGITS]


def load_profile(text: str) -> Profile:
    """Return the profile that the text holds.

    Raises ``ValueError``: ``Refused``, which names the key, or with the line that is no TOML.
    """
    document = _document(text)
    programme = _table(document, "programme", _PROGRAMME, required=("duration_s",))
    loudness = _table(document, "loudness", _LOUDNESS, required=("integrated_lufs",))
    spectrum = _table(document, "spectrum", _SPECTRA, required=_SPECTRA)
    correlation = programme.get("correlation")
    profile = Profile(
        mid_db=_read_bands("spectrum.mid_db", spectrum["mid_db"]),
        side_db=_read_bands("spectrum.side_db", spectrum["side_db"]),
        loudness=Loudness(
            **{
                name: number(f"loudness.{name}", loudness[name], _LEVEL)
                if name in loudness
                else None
                for name in _LOUDNESS
            }
        ),
        correlation=None
        if correlation is None
        else number("programme.correlation", correlation, _CORRELATION),
        duration_s=number("programme.duration_s", programme["duration_s"], _DURATION),
    )
    if not profile.is_audible:
        raise Refused("spectrum.mid_db", "is silent: there is nothing to match")
    return profile


# ── writing ──────────────────────────────────────────────────────────────────────────────


def _figures(table: str, values: Mapping[str, float | None]) -> str:
    lines = [f"{name} = {value:.3f}\n" for name, value in values.items() if value is not None]
    return f"[{table}]\n" + "".join(lines)


def _bands(name: str, band_db: NDArray[np.float64]) -> str:
    lines = [
        "    " + " ".join(f"{level_db:8.3f}," for level_db in third) + f"  # {hz} Hz\n"
        for third, hz in zip(band_db.reshape(-1, _BANDS_PER_LINE), _NOMINAL_HZ, strict=True)
    ]
    return f"{name} = [\n" + "".join(lines) + "]\n"


# ── reading ──────────────────────────────────────────────────────────────────────────────


def _document(text: str) -> dict[str, Any]:
    """Parse; refuse what is no profile of this version before what is in it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is no TOML: {error}") from error
    except RecursionError:
        raise ValueError("it is no profile: its lists are nested too deeply") from None
    for key, expected in (("format", FORMAT), ("version", VERSION)):
        value = document.get(key)
        if type(value) is not type(expected) or value != expected:
            given = f"is {shown(value)}" if key in document else "is missing"
            raise Refused(key, f"{given}; it must be {shown(expected)}")
    _check_keys(document, "", ("format", "version", "programme", "loudness", "spectrum"))
    return document


def _table(
    document: Mapping[str, Any], name: str, known: Collection[str], *, required: Collection[str]
) -> Mapping[str, Any]:
    table = document.get(name)
    if not isinstance(table, dict):
        raise Refused(name, f"is {shown(table)}, no table" if name in document else "is missing")
    _check_keys(table, f"{name}.", known)
    for key in required:
        if key not in table:
            raise Refused(f"{name}.{key}", "is missing")
    return table


def _check_keys(table: Mapping[str, Any], head: str, known: Collection[str]) -> None:
    for key in table:
        if key not in known:
            raise Refused(head + shown_key(key), f"is no key of a profile{hint(key, known)}")


def _read_bands(key: str, levels: Any) -> NDArray[np.float64]:
    if not isinstance(levels, list):
        raise Refused(key, f"is {shown(levels)}; it must be a list of {BANDS} levels")
    if len(levels) != BANDS:
        raise Refused(key, f"has {len(levels)} levels; it must have {BANDS}")
    return np.array(
        [
            -np.inf if level == -np.inf else number(f"{key}[{index}]", level, _LEVEL)
            for index, level in enumerate(levels)
        ]
    )
