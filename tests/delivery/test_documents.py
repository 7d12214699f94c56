"""metadata.json and waveform.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints, is_typeddict

import jsonschema
import numpy as np
import pytest

from audio_processor.delivery import document
from audio_processor.delivery.package import package
from audio_processor.delivery.validate_document import load_schema
from audio_processor.delivery.waveform import waveform_json
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import GainCurve, Loudness, Package, Plan, Waveform
from tests.delivery.conftest import Encoded
from tests.delivery.material import inputs

PUBLISHED = Path(__file__).parents[2] / "docs" / "metadata.schema.json"


def check(metadata: object) -> None:
    """Validate what a reader would parse."""
    parsed = json.loads(json.dumps(metadata, allow_nan=False))
    jsonschema.Draft202012Validator(
        load_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(parsed)


def test_the_published_schema_is_the_one_in_use() -> None:
    schema = json.loads(PUBLISHED.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == load_schema()


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield path, schema
        for key, part in schema.items():
            yield from objects(part, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, part in enumerate(schema):
            yield from objects(part, f"{path}/{number}")


def test_every_object_is_strict_and_whole() -> None:
    for path, schema in objects(load_schema()):
        assert schema["additionalProperties"] is False, path
        assert sorted(schema["required"]) == sorted(schema["properties"]), path


def test_schema_and_types_name_the_same_keys() -> None:
    """Each typed part has an object of the same keys in the schema, and the other way round."""
    typed: set[frozenset[str]] = set()
    waiting: list[Any] = [document.Metadata]
    while waiting:
        part = waiting.pop()
        if is_typeddict(part):
            hints = get_type_hints(part)
            typed.add(frozenset(hints))
            waiting += hints.values()
        else:
            waiting += get_args(part)
    written = {frozenset(schema["properties"]) for _, schema in objects(load_schema())}
    assert typed == written


def test_a_packages_metadata_fits_the_schema(packaged: Package) -> None:
    check(packaged.metadata)


def test_silence_a_rider_and_limits_fit_too(
    supervisor: Supervisor, encoded: Encoded, tmp_path: Path
) -> None:
    silent = Loudness(None, None, None, None, None, None)
    given = inputs(encoded.encodes, tmp_path)
    rider = GainCurve(0.1, np.array([-3.0, 0.5, -0.0], np.float32))
    given = replace(
        given,
        analysis=replace(given.analysis, source=silent, mastered=silent),
        plan=Plan("ridden+limited", 1.0, -2.0, rider, None, None, None, 0.0, "peaks"),
        probe=replace(given.probe, cover=None, bit_depth=None, bit_rate=None),
    )
    metadata = package(supervisor, given).metadata
    check(metadata)
    assert metadata["plan"]["rider"] == {
        "hop_s": 0.1,
        "points": 3,
        "min_gain_db": -3.0,
        "max_gain_db": 0.5,
    }
    assert metadata["loudness"]["source"]["integrated_lufs"] is None


def test_metadata_tells_of_the_files_that_are_delivered(packaged: Package) -> None:
    metadata = packaged.metadata
    for told, rendition in zip(metadata["renditions"], packaged.renditions, strict=True):
        assert told["segments"] == len(rendition.segments)
        assert told["size_bytes"] == sum(s.path.stat().st_size for s in rendition.segments)
        assert told["bandwidth"] == rendition.bandwidth
    assert metadata["m4a"]["size_bytes"] == packaged.m4a.path.stat().st_size
    assert metadata["warnings"] == ["The file says it is 1 ms longer than it is."]


def test_metadata_tells_what_a_match_did(packaged: Package) -> None:
    assert packaged.metadata["mastering"]["match"] == {
        "profile_sha256": "0123456789abcdef",
        "mid": {"min_gain_db": -2.25, "max_gain_db": 3.5},
        "side": {"min_gain_db": 0.0, "max_gain_db": 6.0},
    }


def test_metadata_has_no_path_of_this_machine(packaged: Package) -> None:
    text = json.dumps(packaged.metadata)
    assert str(packaged.m4a.path.parent) not in text
    assert str(Path.home()) not in text


def test_only_the_time_differs_between_two_runs(
    supervisor: Supervisor, encoded: Encoded, packaged: Package, tmp_path: Path
) -> None:
    again = package(supervisor, inputs(encoded.encodes, tmp_path))
    assert {**again.metadata, "processed_at": ""} == {**packaged.metadata, "processed_at": ""}
    assert again.master_playlist == packaged.master_playlist
    assert again.waveform_json == packaged.waveform_json


@pytest.mark.parametrize(("bits", "low", "high"), [(8, -128, 127), (16, -32_768, 32_767)])
def test_waveform_is_audiowaveforms_version_2(bits: Any, low: int, high: int) -> None:
    data = np.zeros((3, 2, 2), np.int16)
    data[1] = ((-32_768, 32_767), (-256, 255))
    written = json.loads(waveform_json(Waveform(44_100, 512, 2, data), bits))
    assert {key: written[key] for key in written if key != "data"} == {
        "version": 2,
        "channels": 2,
        "sample_rate": 44_100,
        "samples_per_pixel": 512,
        "bits": bits,
        "length": 3,
    }
    assert len(written["data"]) == 3 * 2 * 2
    assert written["data"][4:6] == [low, high]
    assert all(low <= value <= high for value in written["data"])
