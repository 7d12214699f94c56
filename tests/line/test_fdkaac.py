"""A track through the whole line with fdkaac as its encoder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from audio_processor.cli import app
from audio_processor.delivery.publish import CacheControl, publish
from audio_processor.delivery.report import Report
from audio_processor.delivery.validate_document import load_schema
from audio_processor.demo import render_demo
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.model import Package, Source
from audio_processor.settings import Settings
from audio_processor.storage.folder import FolderStore
from audio_processor.storage.options import FolderOptions
from audio_processor.wiring import judge_ladder, open_studio
from audio_processor.workbench import Workbench, open_encoder, process_limits
from tests.fdkaac import fdkaac_path

DURATION_S = 22.0


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings.model_validate({"encoder": {"name": "fdkaac", "path": fdkaac_path()}})


@pytest.fixture(scope="module")
def packaged(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("fdkaac")
    track = folder / "demo.wav"
    render_demo(track, duration_s=DURATION_S)
    source = Source(track, track.name, track.stem, track.stat().st_size, "0" * 64)
    ffmpeg = find_ffmpeg()
    job = folder / "job"
    job.mkdir()
    supervisor = Supervisor(ffmpeg, job, process_limits(settings.limits))
    encoder = open_encoder(settings.encoder, ffmpeg)
    bench = Workbench(settings, open_studio(settings), supervisor, encoder, job)
    probed = bench.probe(source)
    treatment = bench.treat(source, probed, None)
    analysis = bench.analyse(source, probed, treatment)
    plan = bench.plan(analysis, treatment)
    ladder = bench.render(source, probed, treatment, analysis, plan)
    verified = bench.verify(ladder, plan)
    return bench.package("upload-1", source, probed, treatment, analysis, plan, verified)


@pytest.fixture(scope="module")
def judged(
    packaged: Package, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    folder = tmp_path_factory.mktemp("published")
    publish(
        packaged,
        FolderStore(FolderOptions(folder)),
        output_prefix="demo/",
        cache_control=CacheControl(),
        generation="g1",
        renew=lambda: None,
    )
    return judge_ladder(str(folder / "demo"), settings)


def test_the_published_ladder_breaks_no_rule(judged: Report) -> None:
    assert [finding for finding in judged.findings if finding.severity == "error"] == []
    assert judged.ok


def test_every_tier_measures_as_promised(packaged: Package) -> None:
    assert len(packaged.verified.ladder.renditions) == 3
    for rendition in packaged.verified.ladder.renditions:
        assert rendition.limited_by is None
        assert rendition.measured.integrated_lufs == pytest.approx(-14.0, abs=0.3)
        assert rendition.measured.true_peak_dbtp is not None
        assert rendition.measured.true_peak_dbtp <= -1.0


def test_all_tiers_are_cut_at_the_same_times(packaged: Package) -> None:
    first, *others = ([s.duration_s for s in r.segments] for r in packaged.renditions)
    assert first[0] == pytest.approx(10.24, abs=1e-9)
    for other in others:
        assert other[:-1] == pytest.approx(first[:-1], abs=1e-9)


def test_the_m4a_plays_the_source_to_the_sample(packaged: Package) -> None:
    assert packaged.m4a.frames == round(DURATION_S * 44_100)
    assert packaged.m4a.priming_frames == 1882


def test_metadata_says_which_encoder_it_was(packaged: Package) -> None:
    metadata: dict[str, Any] = json.loads(json.dumps(packaged.metadata))
    # a generation is told by publishing
    jsonschema.Draft202012Validator(load_schema()).validate({**metadata, "generation": "g1"})
    assert {"fdkaac", "libfdk-aac", "ffmpeg"} <= set(metadata["tools"])
    for rendition in metadata["renditions"]:
        for encode in (rendition["encode"], *(c["encode"] for c in rendition["candidates"])):
            assert (encode["encoder"], encode["coder"], encode["tns"]) == ("fdkaac", None, None)


def test_a_rate_that_fdkaac_would_take_for_kilobits_is_refused() -> None:
    tier = {"name": "only", "bit_rate": 9_999, "sample_rate_hz": 8_000}
    Settings.model_validate({"ladder": {"tiers": [tier]}})
    with pytest.raises(ValidationError, match=r"tiers\[0\]\.bit_rate.*at least 10000"):
        Settings.model_validate({"ladder": {"tiers": [tier]}, "encoder": {"name": "fdkaac"}})


def check_config(**environment: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["check-config"], env={**os.environ, **environment})
    return done.exit_code, done.output


def test_check_config_names_the_fdkaac_that_will_be_used(settings: Settings) -> None:
    exit_code, said = check_config(
        AUDIO_PROCESSOR__ENCODER__NAME="fdkaac",
        AUDIO_PROCESSOR__ENCODER__PATH=str(settings.encoder.path),
    )
    assert exit_code == 0
    assert f", {settings.encoder.path}" in said
    assert "encoder: fdkaac 1." in said


def test_check_config_refuses_a_missing_one(tmp_path: Path) -> None:
    exit_code, said = check_config(AUDIO_PROCESSOR__ENCODER__NAME="fdkaac", PATH=str(tmp_path))
    assert exit_code == 2
    assert 'encoder.name = "fdkaac": no fdkaac was found on PATH' in said
