"""How tracks are mastered: the house's preset, its profiles and presets of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audio_processor.settings.base import Group, Problem, setting
from audio_processor.spelling import hint

PRESETS = (
    "transparent", "vocal-clarity", "bass-punch", "vintage-warmth", "lo-fi-haze", "edm",
    "hi-fi-streaming", "radio-loud", "cinematic", "club", "trap",
    "neutral", "bright", "warm", "bass-boost",
    "off",
)  # fmt: skip
"""The presets that come with the program, in the order in which they are listed.

Named here, and not read off their files, so that a wrong name in the configuration is found
without loading what the files need to be understood. A test holds the two together.
"""
AUTO = "auto"
"""Not a preset but the wish that one be chosen by the track's sound."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_NAME_RULE = "a name has 1 to 63 small letters, digits and hyphens, and starts with no hyphen"


class MasteringSettings(Group):
    """What is done to the sound before the loudness is set; presets and stages are explained in
    `docs/mastering.md`.
    """

    preset: str = setting(
        "transparent",
        "Preset of every upload that asks for none: one of `audio-processor presets`, one of the "
        "house's own below, or `auto`.",
        also=("style", "profile", "default_preset"),
    )
    reference: str | None = setting(
        None,
        "Profile that every track's tone and width are matched to, by its name in "
        "`mastering.profiles`.",
        example="house",
    )
    match_strength_percent: float = setting(
        100.0,
        "How far towards the reference a track is taken.",
        ge=0,
        le=100,
        also=("match_strength", "strength"),
    )
    allow_upload_settings: bool = setting(
        True,
        "Whether an upload's own `mastering` is honoured; if not, it is passed over with a "
        "warning.",
    )
    profiles: Mapping[str, Path] = setting(
        {},
        "Stored profiles by name; an upload may name them and nothing else as its reference.",
        example={"house": "/etc/audio-processor/house.toml"},
    )
    presets: Mapping[str, Mapping[str, Any]] = setting(
        {},
        "Presets of the house's own: what each is for, its version, the preset it starts from, "
        "and a table for each stage that is to be another.",
        example={
            "my-house": {
                "version": 1,
                "about": "Ours: a little presence, and nothing below 30 Hz.",
                "base": "transparent",
                "high_pass": {"cutoff_hz": 30.0},
                "equaliser": {"presence_db": 1.0},
            }
        },
    )

    def problems(self) -> Iterator[Problem]:
        """Yield names that cannot be, or that nothing bears."""
        for key, names in (("profiles", self.profiles), ("presets", self.presets)):
            for name in names:
                if not _NAME.fullmatch(name):
                    yield Problem(f"{key}.{name}", _NAME_RULE)
        for name in self.presets:
            if name in {*PRESETS, AUTO}:
                yield Problem(
                    f"presets.{name}",
                    f"'{name}' comes with the program: give yours another name"
                    + ("" if name == AUTO else f", and base = '{name}' to start from it"),
                )
        if self.preset not in {*PRESETS, AUTO, *self.presets}:
            known = (*PRESETS, AUTO, *self.presets)
            yield Problem("preset", f"there is no such preset{hint(self.preset, known)}")
        if self.reference is not None and self.reference not in self.profiles:
            yield Problem(
                "reference", f"is not in mastering.profiles{hint(self.reference, self.profiles)}"
            )
