"""From what was asked for to what is done: the house's settings, the row's, and auto's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.dsp.compressor import static_reduction_db
from audio_processor.errors import ConfigError, MasteringRejected
from audio_processor.mastering.preset import packaged, with_house
from audio_processor.mastering.recipe import Recipe, resolve, settle
from audio_processor.mastering.stage import MasteringStage
from audio_processor.mastering.stages.multiband import TYPICAL_DB, MultibandCompressor
from audio_processor.settings import MasteringSettings
from tests.mastering_presets.sounds import profile

HOUSE = MasteringSettings.model_validate(
    {"preset": "warm", "reference": "house", "profiles": {"house": "h.toml", "other": "o.toml"}}
)
AUTO = MasteringSettings(preset="auto")


def resolved(wish: Any = None, house: MasteringSettings | None = None) -> Recipe:
    house = house or MasteringSettings()
    text = wish if wish is None or isinstance(wish, str) else json.dumps(wish)
    return resolve(text, house, with_house(house.presets), house.profiles)


def names(recipe: Recipe) -> list[str]:
    return [stage.name for stage in recipe.stages]


def stage_name(stage: MasteringStage) -> str:
    return stage.name


def parameter(recipe: Recipe, stage: str, name: str) -> float:
    [found] = [each for each in recipe.stages if each.name == stage]
    value = getattr(found, name)
    assert isinstance(value, float)
    return value


def test_without_a_wish_the_house_decides() -> None:
    recipe = resolved()
    assert (recipe.preset, recipe.version, names(recipe)) == ("transparent", 1, ["high_pass"])
    assert not recipe.needs_survey
    assert (recipe.integrated_lufs, recipe.warnings) == (None, ())
    recipe = resolved(house=HOUSE)
    assert (recipe.preset, recipe.reference) == ("warm", "house")
    assert recipe.needs_survey


def test_a_wish_goes_before_the_house() -> None:
    recipe = resolved({"preset": "club", "reference": "other", "integrated_lufs": -16}, HOUSE)
    assert recipe.stages == packaged()["club"].stages
    assert (recipe.reference, recipe.integrated_lufs) == ("other", -16.0)
    assert resolved("club", HOUSE).reference == "house"


def test_changes_are_made_on_the_preset() -> None:
    recipe = resolved(
        {
            "preset": "warm",
            "stages": {"equaliser": {"presence_db": 3}, "mono_sub": {}, "high_pass": False},
        }
    )
    assert names(recipe) == ["equaliser", "mono_sub"]
    assert parameter(recipe, "equaliser", "presence_db") == 3.0
    [before] = [each for each in packaged()["warm"].stages if each.name == "equaliser"]
    assert parameter(recipe, "equaliser", "low_shelf_db") == getattr(before, "low_shelf_db", None)


def test_the_simple_form_on_the_houses_own_preset() -> None:
    recipe = resolved({"compressionRatio": 2, "stereoWidth": 80}, HOUSE)
    assert recipe.preset == "warm"
    assert names(recipe) == ["high_pass", "equaliser", "multiband", "width"]
    assert parameter(recipe, "multiband", "mid_ratio") == pytest.approx(1 + 2 / 3)
    assert parameter(recipe, "width", "width_percent") == 80.0


def test_off_is_off() -> None:
    recipe = resolved("off", HOUSE)
    assert (recipe.stages, recipe.reference, recipe.needs_survey) == ((), None, False)
    assert resolved({"preset": "off", "reference": "other"}, HOUSE).reference == "other"


@pytest.mark.parametrize(
    "wish", [{"reference": None}, {"match_strength_percent": 0}, {"preset": "off"}]
)
def test_ways_to_have_no_reference(wish: dict[str, Any]) -> None:
    assert resolved(wish, HOUSE).reference is None


def test_the_strength_is_the_uploads_else_the_houses() -> None:
    house = HOUSE.model_copy(update={"match_strength_percent": 60.0})
    assert resolved(None, house).match_strength_percent == 60.0
    assert resolved({"match_strength_percent": 30}, house).match_strength_percent == 30.0
    recipe = resolved({"match_strength_percent": 30})
    assert recipe.reference is None
    assert recipe.warnings == (
        "match_strength_percent has no effect: there is no reference to match.",
    )


def test_wishes_may_be_forbidden() -> None:
    house = HOUSE.model_copy(update={"allow_upload_settings": False})
    for wish in ("club", "nonsense {", '{"reference": null}'):
        recipe = resolved(wish, house)
        assert (recipe.preset, recipe.reference) == ("warm", "house")
        assert recipe.warnings == ("The upload's own mastering settings are not honoured here.",)
    assert resolved(" ", house).warnings == ()


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ("wram", "mastering.preset is 'wram', and there is no such preset: did you mean 'warm'?"),
        ("../etc/passwd", "mastering.preset is '../etc/passwd', and there is no such preset; "),
        (
            {"reference": "huose"},
            "mastering.reference is 'huose', and there is no such profile: did you mean 'house'?",
        ),
        ({"reference": "h.toml"}, "mastering.reference is 'h.toml', and there is no such profile"),
    ],
)
def test_what_an_upload_names_must_be_there(wish: Any, says: str) -> None:
    with pytest.raises(MasteringRejected) as raised:
        resolved(wish, HOUSE)
    assert str(raised.value).startswith(says)


def test_what_the_house_names_must_be_there() -> None:
    settings = MasteringSettings.model_construct(preset="gone", reference=None)
    with pytest.raises(ConfigError, match=r"mastering\.preset is 'gone'"):
        resolve(None, settings, packaged(), ())
    with pytest.raises(ConfigError, match=r"mastering\.reference is 'house'"):
        resolve(None, HOUSE, packaged(), ())


def test_auto_waits_for_the_sound_and_says_why() -> None:
    recipe = resolved({"preset": "auto", "stages": {"width": {"width_percent": 90}}})
    assert recipe.auto and recipe.needs_survey and recipe.reason is None
    settled = settle(recipe, profile(high_db=-35.0), packaged())
    assert (settled.preset, settled.version) == ("bright", packaged()["bright"].version)
    assert not settled.auto and not settled.needs_survey
    assert settled.reason is not None and "-35.0 dB" in settled.reason
    assert parameter(settled, "width", "width_percent") == 90.0
    assert resolved(None, AUTO).auto


def test_what_is_settled_stays() -> None:
    recipe = resolved("club")
    assert settle(recipe, profile(high_db=-35.0), packaged()) is recipe


@given(st.text(max_size=60))
def test_any_text_is_a_recipe_or_refused(text: str) -> None:
    try:
        recipe = resolved(text, HOUSE)
    except MasteringRejected as error:
        assert str(error).startswith("mastering")
    else:
        assert recipe.preset in {*packaged(), "auto"}


@pytest.mark.parametrize(
    "preset",
    [name for name, one in packaged().items() if "multiband" in map(stage_name, one.stages)],
)
def test_the_one_knob_keeps_the_level_whatever_preset_it_is_turned_on(preset: str) -> None:
    """What follows the compressor has a curve in dBFS: a make-up too large would overdrive it."""
    recipe = resolved({"compressionRatio": 4}, MasteringSettings(preset=preset))
    [multiband] = [each for each in recipe.stages if isinstance(each, MultibandCompressor)]
    for band, level_db in zip(multiband.bands, TYPICAL_DB, strict=True):
        slope = 1.0 - 1.0 / band.ratio
        taken_db = static_reduction_db(level_db, band.threshold_db, slope, band.knee_db)
        assert band.makeup_db == pytest.approx(taken_db, abs=0.5)
