"""Presets of the house's own: read as ours are, refused with the key, the value and the range."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from audio_processor.errors import ConfigError
from audio_processor.mastering.preset import named, packaged, resolved, with_house
from audio_processor.settings import load_settings


def refusal(**tables: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        with_house({name.replace("_", "-"): table for name, table in tables.items()})
    return str(raised.value)


def test_a_house_preset_from_nothing_and_from_another() -> None:
    presets = with_house(
        {
            "late": {"base": "early", "version": 4, "multiband": {"compression_ratio": 2}},
            "early": {
                "about": "Ours.",
                "base": "warm",
                "high_pass": False,
                "equaliser": {"presence_db": 1},
                "mono_sub": True,
            },
            "bare": {"de_esser": {}},
        }
    )
    assert list(presets)[-3:] == ["late", "early", "bare"]
    early, late, warm = (resolved(presets[name])["stages"] for name in ("early", "late", "warm"))
    assert list(early) == ["equaliser", "mono_sub"]
    assert early["equaliser"] == {**warm["equaliser"], "presence_db": 1.0}
    assert late["equaliser"] == early["equaliser"]
    assert late["multiband"]["mid_ratio"] == pytest.approx(1 + 2 / 3)
    assert [stage.name for stage in presets["bare"].stages] == ["de_esser"]
    assert (presets["late"].version, presets["bare"].version) == (4, 1)
    assert named("early", presets).about == "Ours."
    assert resolved(presets["warm"]) == resolved(packaged()["warm"])


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            {"equaliser": {"presence_db": 9.5}},
            "equaliser.presence_db is 9.5; it must be a number from -6 to 6.",
        ),
        (
            {"equaliser": {"presense_db": 1}},
            "equaliser.presense_db does not exist: did you mean 'presence_db'",
        ),
        ({"equalizer": {}}, "equalizer is no stage: did you mean 'equaliser'?"),
        (
            {"high_pass": {"order": 2.5}},
            "high_pass.order is 2.5; it must be 2 or 4.",
        ),
        (
            {"high_pass": {"order": 3}},
            "high_pass.order is 3; it must be 2 or 4.",
        ),
        (
            {"multiband": {"compression_ratio": 12}},
            "multiband.compression_ratio is 12; it must be a number from 1 to 10.",
        ),
        ({"glow": 3}, "glow is 3; it must be a table of its parameters, "),
        ({"version": 0}, "version is 0; it must be an integer from 1 to "),
        ({"version": True}, "version is true; it must be an integer from 1 "),
        ({"about": "a\nb"}, "about is 'a\\nb'; it must be a line of 300 "),
        ({"base": "wram"}, "base is 'wram', and there is no such preset: did "),
        ({"base": 3}, "base is 3, and there is no such preset; there is "),
        ({"base": "ours"}, "base leads back to itself: ours → ours."),
        ({"base": "auto"}, "base is 'auto', and there is no such preset"),
    ],
    ids=str,
)
def test_a_mistake_is_named(table: dict[str, Any], says: str) -> None:
    assert refusal(ours=table).startswith(f"mastering.presets.ours.{says}")


def test_a_mistake_in_a_base_is_named_where_it_is() -> None:
    tables = {"ours": {"base": "theirs"}, "theirs": {"glow": {"amount_percent": -1}}}
    assert refusal(**tables).startswith("mastering.presets.theirs.glow.amount_percent is -1;")
    circle = {"ours": {"base": "theirs"}, "theirs": {"base": "ours"}}
    assert refusal(**circle) == (
        "mastering.presets.theirs.base leads back to itself: ours → theirs → ours."
    )


def test_the_one_in_the_example_configuration_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "config.example.toml").read_text(encoding="utf-8")
    path = tmp_path / "config.toml"
    path.write_text(re.sub(r"^#(?! )", "", _mastering(text), flags=re.MULTILINE))
    presets = load_settings(path, environ={}).mastering.presets
    assert presets
    assert set(with_house(presets)) == {*packaged(), *presets}


def _mastering(example: str) -> str:
    return "[mastering]\n" + example.partition("\n[mastering]\n")[2].partition("\n\n")[0]


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="There is no preset 'wrm': did you mean 'warm'"):
        named("wrm", packaged())
    with pytest.raises(ConfigError, match="chooses one of them"):
        named("auto", packaged())


def test_presets_based_on_each_other_are_read_once_each_and_not_without_end() -> None:
    chain = {f"p{n:03}": {"base": f"p{n - 1:03}" if n else "warm"} for n in range(200)}
    assert len(with_house(chain)) == len(packaged()) + 200
    backwards = dict(reversed(chain.items()))
    with pytest.raises(ConfigError, match=r"base is one of more than 16"):
        with_house(backwards)
