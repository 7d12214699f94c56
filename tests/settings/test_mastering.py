"""The house's mastering: names are checked before anything of the signal path is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_processor.errors import ConfigError
from audio_processor.settings import Settings, load, load_settings

HOUSE = {"version": 1, "about": "Ours.", "equaliser": {"presence_db": 1.0}}


def problem(**mastering: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        load_settings(overrides={"mastering": mastering}, environ={})
    return str(raised.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"preset": "wram"},
            "mastering.preset = 'wram' in the overrides: there is no such preset: "
            "did you mean 'warm'?",
        ),
        (
            {"preset": "zzz"},
            "mastering.preset = 'zzz' in the overrides: there is no such preset; there is "
            "transparent, vocal-clarity, ",
        ),
        (
            {"preset": "ours", "presets": {"our": HOUSE}},
            "mastering.preset = 'ours' in the overrides: there is no such preset: "
            "did you mean 'our'?",
        ),
        (
            {"presets": {"warm": HOUSE}},
            "mastering.presets.warm in the overrides: 'warm' comes with the program: "
            "give yours another name, and base = 'warm' to start from it",
        ),
        (
            {"presets": {"auto": HOUSE}},
            "mastering.presets.auto in the overrides: 'auto' comes with the program: "
            "give yours another name",
        ),
        (
            {"presets": {"Our House": HOUSE}},
            "mastering.presets.Our House in the overrides: a name has 1 to 63 small letters, "
            "digits and hyphens, and starts with no hyphen",
        ),
        (
            {"reference": "hause", "profiles": {"house": "house.toml"}},
            "mastering.reference = 'hause' in the overrides: is not in mastering.profiles: "
            "did you mean 'house'?",
        ),
        (
            {"reference": "house"},
            "mastering.reference = 'house' in the overrides: is not in mastering.profiles",
        ),
        (
            {"match_strength_percent": 101},
            "mastering.match_strength_percent = 101 in the overrides: "
            "must be less than or equal to 100",
        ),
        (
            {"profiles": {"house": 5}},
            "mastering.profiles.house = 5 in the overrides: ",
        ),
        (
            {"presets": {"our": "warm"}},
            "mastering.presets.our = 'warm' in the overrides: ",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_is_named(given: dict[str, Any], says: str) -> None:
    assert problem(**given).startswith(says)


def test_a_house_has_presets_and_profiles_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[mastering]\npreset = "ours"\nreference = "house"\n'
        '[mastering.profiles]\nhouse = "profiles/house.toml"\n'
        '[mastering.presets.ours]\nversion = 3\nabout = "Ours."\nbase = "warm"\nde_esser = false\n'
        "[mastering.presets.ours.equaliser]\npresence_db = 1.5\n"
    )
    loaded = load(path, environ={})
    mastering = loaded.settings.mastering
    assert mastering.profiles == {"house": Path("profiles/house.toml")}
    assert mastering.presets == {
        "ours": {
            "version": 3, "about": "Ours.", "base": "warm", "de_esser": False,
            "equaliser": {"presence_db": 1.5},
        }
    }  # fmt: skip
    assert loaded.origins["mastering.presets"] == "config.toml"


def test_tables_come_from_the_environment_as_json() -> None:
    presets = {"ours": HOUSE}
    environ = {
        "AUDIO_PROCESSOR__MASTERING__PRESET": "ours",
        "AUDIO_PROCESSOR__MASTERING__PRESETS": json.dumps(presets),
    }
    assert load_settings(environ=environ).mastering.presets == presets
    with pytest.raises(ConfigError, match="must be a JSON object"):
        load_settings(environ={"AUDIO_PROCESSOR__MASTERING__PRESETS": "{"})


def test_settings_load_without_the_signal_path() -> None:
    code = (
        "import sys\n"
        "from audio_processor.settings import load_settings\n"
        "load_settings(overrides={'mastering.preset': 'club'}, environ={})\n"
        "print([m for m in ('numba', 'numpy', 'audio_processor.mastering') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_by_default_a_track_is_left_as_it_is_but_for_its_rumble() -> None:
    mastering = Settings().mastering
    assert (mastering.preset, mastering.reference) == ("transparent", None)
    assert mastering.allow_upload_settings
