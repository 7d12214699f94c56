"""The presets that come with the program: they load, they run, and they change with a version."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_processor.mastering.catalogue import LEVEL_DEPENDENT, ORDER, STAGES, in_order, settable
from audio_processor.mastering.chain import Chain
from audio_processor.mastering.parameters import parameters
from audio_processor.mastering.preset import Preset, packaged, resolved
from audio_processor.mastering.request import EQ_PROFILES
from audio_processor.settings.mastering import PRESETS
from tests.mastering_presets.sounds import cut, noise

GOLDEN = Path(__file__).with_name("presets.json")
FILES = resources.files("audio_processor.mastering") / "presets"


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest) -> Preset:
    return packaged()[request.param]


def digest(preset: Preset) -> str:
    """A hash of every parameter, whatever way the file writes them."""
    stages: dict[str, dict[str, Any]] = resolved(preset)["stages"]
    plain = {
        stage: {name: float(value) for name, value in values.items()}
        for stage, values in stages.items()
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def test_the_names_that_the_settings_know_are_those_of_the_files() -> None:
    files = {Path(str(file)).stem for file in FILES.iterdir() if str(file).endswith(".toml")}
    assert files == set(PRESETS)
    assert tuple(packaged()) == PRESETS
    assert set(EQ_PROFILES) < set(PRESETS)


def test_no_preset_changes_without_a_new_version(preset: Preset) -> None:
    """A new version, then UPDATE_GOLDENS=1 pytest tests/mastering_presets."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    now = {"version": preset.version, "parameters": digest(preset)}
    before = golden.get(preset.name, {"version": 0})
    if os.environ.get("UPDATE_GOLDENS") == "1" and preset.version > before["version"]:
        golden[preset.name] = before = now
        text = json.dumps({name: golden[name] for name in PRESETS if name in golden}, indent=2)
        GOLDEN.write_text(text + "\n", encoding="utf-8")
    assert now == before, f"{preset.name} sounds otherwise than version {before['version']} did"


def test_each_says_what_it_is_for_and_each_file_why() -> None:
    about = [preset.about for preset in packaged().values()]
    assert len(set(about)) == len(PRESETS)
    assert all(text.endswith(".") and 10 < len(text) < 80 for text in about)
    for name in PRESETS:
        text = (FILES / f"{name}.toml").read_text(encoding="utf-8")
        assert text.startswith("# ")
        tables = [table for table in tomllib.loads(text).values() if isinstance(table, dict)]
        assert text.count("#") > len(tables), f"{name}: a table without a reason"


def test_stages_stand_in_the_chains_order(preset: Preset) -> None:
    names = [stage.name for stage in preset.stages]
    assert names == sorted(names, key=ORDER.index)
    assert in_order(reversed(preset.stages)) == preset.stages


def test_transparent_is_a_high_pass_and_off_is_nothing() -> None:
    assert [stage.name for stage in packaged()["transparent"].stages] == ["high_pass"]
    assert packaged()["off"].stages == ()


def test_the_catalogue_has_every_stage_once_and_knows_what_is_settable() -> None:
    assert (ORDER[0], ORDER[1:-1], ORDER[-1]) == ("input_level", tuple(STAGES), "reference_match")
    assert set(STAGES.values()) >= set(LEVEL_DEPENDENT)
    for name, stage in STAGES.items():
        declared = [field.name for field, _ in parameters(stage)]
        knob = ["compression_ratio"] if name == "multiband" else []
        assert list(settable(name)) == knob + declared
        assert stage() == stage(**{field.name: field.default for field, _ in parameters(stage)})


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
def test_each_runs_at_every_rate_with_as_many_frames_out_as_in(
    preset: Preset, rate_hz: int
) -> None:
    audio = noise(rate_hz, 0.9)
    given = audio.copy()
    out = np.concatenate(list(Chain(preset.stages)(cut(audio, 4_001), rate_hz)))
    assert out.shape == audio.shape
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 8 * np.abs(audio).max()
    np.testing.assert_array_equal(audio, given)


def test_each_does_the_same_however_the_stream_is_cut(preset: Preset) -> None:
    audio = noise(44_100, 0.6)
    whole, pieces = (
        np.concatenate(list(Chain(preset.stages)(cut(audio, frames), 44_100)))
        for frames in (len(audio), 997)
    )
    np.testing.assert_allclose(whole, pieces, atol=1e-5)


def test_each_leaves_silence_silent(preset: Preset) -> None:
    silence = np.zeros((22_050, 2), dtype=np.float32)
    out = np.concatenate(list(Chain(preset.stages)(cut(silence, 5_000), 44_100)))
    assert len(out) == len(silence)
    assert not out.any()
