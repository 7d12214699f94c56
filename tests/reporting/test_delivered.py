"""metadata.json is read back as it was written; anything else is one clear refusal."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.delivery.package import package
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.model import MatchFigures
from audio_processor.reporting.delivered import parse_metadata
from tests.delivery.material import TIERS, encode, inputs, song


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("packaged")
    supervisor = Supervisor(find_ffmpeg(), folder, ProcessLimits())
    encodes = [encode(supervisor, song(11.0), tier, folder) for tier in TIERS]
    made = package(supervisor, inputs(encodes, folder / "package"))
    parsed: dict[str, Any] = json.loads(json.dumps(made.metadata))
    return parsed


def test_everything_comes_back(document: dict[str, Any]) -> None:
    told = parse_metadata(json.dumps(document).encode())
    assert [each.name for each in told.files] == ["low", "med", "high", "m4a"]
    assert told.source.file_name == document["file_name"]
    assert told.source.tags == document["source"]["tags"]
    assert told.plan.gain_db == document["plan"]["gain_db"]
    assert told.targets.integrated_lufs == -14.0
    assert told.source_loudness.integrated_lufs == -18.3
    assert told.facts.correlation == 0.93
    assert told.m4a_ceiling_dbtp == -2.0
    for each, rendition in zip(told.files, document["renditions"], strict=False):
        assert each.bit_rate == rendition["average_bandwidth"]
        assert each.loudness.true_peak_dbtp == rendition["loudness"]["true_peak_dbtp"]
    assert told.warnings == tuple(document["warnings"])
    assert told.mastering is not None
    assert told.mastering.match == MatchFigures("0123456789abcdef", (-2.25, 3.5), (0.0, 6.0))


def test_a_document_from_before_matches_were_told_can_be_read(document: dict[str, Any]) -> None:
    mastering = {key: value for key, value in document["mastering"].items() if key != "match"}
    told = parse_metadata(json.dumps({**document, "mastering": mastering}).encode())
    assert told.mastering is not None
    assert (told.mastering.reference, told.mastering.match) == ("house", None)


def test_a_document_from_before_mastering_can_be_read(document: dict[str, Any]) -> None:
    older = {key: value for key, value in document.items() if key != "mastering"}
    assert parse_metadata(json.dumps(older).encode()).mastering is None


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = [at] if at else []
    for key, child in inside:
        found += paths(child, (*at, key)) if isinstance(child, dict | list) else [(*at, key)]
    return found


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_document_is_refused_in_one_way(
    document: dict[str, Any], data: st.DataObject
) -> None:
    damaged = copy.deepcopy(document)
    *heads, last = data.draw(st.sampled_from(paths(damaged)))
    table: Any = damaged
    for head in heads:
        table = table[head]
    table[last] = data.draw(
        st.one_of(st.none(), st.text(), st.integers(), st.booleans(), st.just([]), st.just({}))
    )
    try:
        told = parse_metadata(json.dumps(damaged).encode())
    except ValueError as error:
        assert str(error)
    else:
        assert told.files[-1].name == "m4a"


@given(st.binary(max_size=200))
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_metadata(data)


def test_what_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"JSON|form"):
        parse_metadata(b"[" * 200_000)
