"""The synthetic set through every preset: no figure moves further than it may.

``make regress`` runs it with real music too; ``UPDATE_GOLDENS=1 make regress`` writes what is
found as the new goldens: read their diff.
"""

from __future__ import annotations

import os
from dataclasses import asdict, replace

import numpy as np
import pytest

from audio_processor.mastering.preset import packaged
from audio_processor.mastering.stages.equaliser import Equaliser
from bench.regress.figures import TOLERANCES, differences, measure
from bench.regress.programmes import MUSIC, SYNTHETIC, synthetic
from bench.regress.suite import load, run_suite


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_preset_sounds_as_it_did(name: str) -> None:
    outcome = run_suite([synthetic(name)], told=lambda *_: None)
    if os.environ.get("UPDATE_GOLDENS") == "1":
        outcome.save()
        return
    assert outcome.without_golden == []
    assert [str(each) for each in outcome.differences] == []
    assert len(outcome.found) == len(packaged())


def test_there_are_goldens_for_all_and_for_nothing_else() -> None:
    music = {file.rsplit(".", 1)[0] for file in MUSIC}
    goldens = load()
    assert set(goldens) == {*SYNTHETIC, *music}
    for presets in goldens.values():
        assert set(presets) == set(packaged())


@pytest.mark.parametrize("figure", TOLERANCES)
def test_a_figure_that_moves_is_found(figure: str) -> None:
    golden = load()["pink"]["transparent"]
    programme = synthetic("pink")
    found = measure(programme, packaged()["transparent"].stages)
    assert list(differences("pink", "transparent", golden, found)) == []
    moved = replace(found, **{figure: asdict(found)[figure] + 1.6 * TOLERANCES[figure]})
    assert [each.figure for each in differences("p", "p", golden, moved)] == [figure]


def test_a_level_dependent_preset_is_heard_at_its_own_level() -> None:
    """A quieter upload of the same sound is mastered to the same sound."""
    loud = synthetic("loud")
    quiet = replace(loud, audio=loud.audio * np.float32(0.25))
    one, other = (measure(each, packaged()["radio-loud"].stages) for each in (loud, quiet))
    assert list(differences("loud", "radio-loud", asdict(one), other)) == []


def test_a_changed_parameter_is_found() -> None:
    stages = packaged()["bright"].stages
    golden = load()["pink"]["bright"]
    duller = tuple(
        replace(stage, high_shelf_db=stage.high_shelf_db - 1.0)
        if isinstance(stage, Equaliser)
        else stage
        for stage in stages
    )
    found = measure(synthetic("pink"), duller)
    assert [each.figure for each in differences("pink", "bright", golden, found)]
