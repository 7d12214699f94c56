"""Which preset auto takes, and that it says why with the figures that decided."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.mastering.auto import choose
from audio_processor.mastering.preset import packaged
from audio_processor.mastering.profile import ProfileMeter
from tests.mastering_presets.sounds import noise, profile

OUTCOMES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"lufs": None}, "transparent", ["nothing loud enough"]),
    ({"plr_db": 6.2, "lufs": -6.4}, "transparent", ["-6.4 LUFS", "6.2 dB", "hard already"]),
    ({"correlation": -0.35, "high_db": -40.0}, "transparent", ["-0.35", "out of phase"]),
    ({"range_lu": 14.5, "plr_db": 18.0, "high_db": -40.0}, "cinematic", ["14.5 LU"]),
    ({"high_db": -33.3}, "bright", ["-33.3 dB", "4 kHz", "dull"]),
    ({"high_db": -12.1, "low_db": -4.0}, "warm", ["-12.1 dB", "4 kHz", "sharp"]),
    ({"low_db": -8.4}, "bass-boost", ["-8.4 dB", "250 Hz", "thin"]),
    ({"low_db": -0.5, "plr_db": 10.7}, "club", ["-0.5 dB", "10.7 dB", "dense bass"]),
    ({"low_db": -0.5, "plr_db": 16.0}, "vocal-clarity", ["-0.5 dB", "250 Hz"]),
    ({"plr_db": 17.2}, "hi-fi-streaming", ["17.2 dB", "balanced"]),
    ({}, "transparent", ["-2.5 dB", "-23.0", "13.0 dB", "nothing to mend"]),
]


@pytest.mark.parametrize(("sound", "preset", "words"), OUTCOMES, ids=str)
def test_each_outcome_and_its_reason(sound: dict[str, Any], preset: str, words: list[str]) -> None:
    choice = choose(profile(**sound))
    assert choice.preset == preset
    assert [word for word in words if word not in choice.reason] == []


@given(
    lufs=st.one_of(st.none(), st.floats(-70, 0)),
    plr_db=st.floats(0, 40),
    range_lu=st.floats(0, 40),
    low_db=st.floats(-60, -0.01),
    high_db=st.floats(-120, -30),
    correlation=st.one_of(st.none(), st.floats(-1, 1)),
)
def test_whatever_the_sound_there_is_a_preset_and_one_sentence(**sound: Any) -> None:
    choice = choose(profile(**sound))
    assert choice == choose(profile(**sound))
    assert choice.preset in packaged()
    assert choice.preset != "off"
    assert choice.reason.endswith(".")
    assert ". " not in choice.reason
    assert len(choice.reason) < 220


def test_what_was_measured_is_chosen_from() -> None:
    meter = ProfileMeter(44_100)
    meter.push(noise(44_100, 3.0))
    choice = choose(meter.result())  # white noise: more treble than any music
    assert choice.preset == "warm"
