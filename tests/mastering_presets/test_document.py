"""docs/mastering.md says what the declarations say, and what it shows works."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_processor.errors import MasteringRejected
from audio_processor.mastering.auto import (
    BOOMY_DB,
    CRUSHED_PLR_DB,
    DENSE_PLR_DB,
    DULL_DB,
    HARSH_DB,
    LOOSE_PLR_DB,
    OUT_OF_PHASE,
    THIN_DB,
    WIDE_RANGE_LU,
)
from audio_processor.mastering.catalogue import ORDER, STAGES, settable
from audio_processor.mastering.parameters import parameters
from audio_processor.mastering.preset import packaged, with_house
from audio_processor.mastering.recipe import resolve
from audio_processor.mastering.request import STRENGTH_PERCENT, TARGET_LUFS
from audio_processor.settings import MasteringSettings, load_settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "mastering.md"
MARK = "UPDATE_GOLDENS=1 pytest tests/mastering_presets -->\n\n"
HOUSE = MasteringSettings.model_validate({"profiles": {"house": "house.toml"}})


def generated() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from ("| preset | version | for | stages |", "|---|---|---|---|")
    for preset in packaged().values():
        stages = ", ".join(f"`{stage.name}`" for stage in preset.stages) or "–"
        yield f"| `{preset.name}` | {preset.version} | {preset.about} | {stages} |"
    for name, stage in STAGES.items():
        yield from ("", f"### `{name}`", "")
        yield from ("| parameter | range | default | meaning |", "|---|---|---|---|")
        defaults = {field.name: f"{field.default:g}" for field, _ in parameters(stage)}
        for key, allowed in settable(name).items():
            span = f"{allowed}".replace(" to ", " … ")
            yield f"| `{key}` | {span} | {defaults.get(key, '–')} | {_sentence(allowed.about)} |"


def _sentence(about: str) -> str:
    first = about[0] if about.startswith("dB") else about[0].upper()
    return f"{first}{about[1:].rstrip('.')}."


def prose() -> str:
    return DOCUMENT.read_text(encoding="utf-8").partition(MARK)[0]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", prose(), re.MULTILINE | re.DOTALL)


def test_the_tables_are_up_to_date() -> None:
    if os.environ.get("UPDATE_GOLDENS") == "1":
        DOCUMENT.write_text(prose() + MARK + generated(), encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == prose() + MARK + generated()


def test_the_chain_is_told_in_its_order() -> None:
    section = prose().partition("\n## The chain\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == ORDER


def test_the_wishes_that_are_shown_are_taken() -> None:
    shown = [*blocks("json"), blocks("text")[0]]
    assert len(shown) == 3
    recipes = [resolve(text, HOUSE, packaged(), HOUSE.profiles) for text in shown]
    assert [recipe.preset for recipe in recipes] == ["warm", "warm", "warm"]
    assert [recipe.integrated_lufs for recipe in recipes] == [-16.0, -14.0, None]
    assert [stage.name for stage in recipes[0].stages] == [
        "high_pass", "equaliser", "multiband", "mono_sub",
    ]  # fmt: skip


def test_the_refusals_that_are_quoted_are_said() -> None:
    quoted = blocks("text")[1].splitlines()
    provoked = [json.dumps({"stages": {"equaliser": {"presence_db": 9}}}), "wram"]
    for text, sentence in zip(provoked, quoted, strict=True):
        with pytest.raises(MasteringRejected) as raised:
            resolve(text, HOUSE, packaged(), HOUSE.profiles)
        assert str(raised.value) == sentence


def test_the_house_preset_that_is_shown_is_read(tmp_path: Path) -> None:
    [text] = blocks("toml")
    assert tomllib.loads(text)
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    mastering = load_settings(path, environ={}).mastering
    house = with_house(mastering.presets)[mastering.preset]
    assert "width" not in {stage.name for stage in house.stages}


def test_the_figures_in_the_prose_are_the_programs() -> None:
    text = prose().replace("−", "-")
    auto = text.partition("\n## Auto\n")[2].partition("\n## ")[0]
    told = {float(figure) for figure in re.findall(r"-?\d+(?:\.\d+)?", auto)}
    figures = (CRUSHED_PLR_DB, OUT_OF_PHASE, WIDE_RANGE_LU, DENSE_PLR_DB, LOOSE_PLR_DB)
    shares = (-DULL_DB, -HARSH_DB, -THIN_DB, -BOOMY_DB)
    assert told - {0.4, 4.0, 250.0} == {*figures, *shares}
    width = settable("width")["width_percent"]
    ratio = settable("multiband")["compression_ratio"]
    for key, allowed in (
        ("targetLoudness", TARGET_LUFS),
        ("compressionRatio", ratio),
        ("stereoWidth", width),
    ):
        assert f"| `{key}` | {allowed.low:g} … {allowed.high:g}" in text
    assert (STRENGTH_PERCENT.low, STRENGTH_PERCENT.high) == (0.0, 100.0)
