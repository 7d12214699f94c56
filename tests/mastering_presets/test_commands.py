"""``presets``, and what ``enqueue``, ``explain`` and ``check-config`` have to do with mastering."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from audio_processor import AudioProcessor, Settings
from audio_processor.cli import app
from audio_processor.errors import MasteringRejected, OutputConflict
from audio_processor.settings.mastering import PRESETS

CONFIG = """
[database]
path = "{folder}/q.db"
[storage]
folder = "{folder}/store"
[scratch]
folder = "{folder}/scratch"
[mastering.presets.ours]
about = "Ours."
base = "warm"
equaliser.presence_db = {presence_db}
"""


def call(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)


def json_of(*arguments: str) -> Any:
    shown = call(*arguments, "--json")
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(folder=tmp_path, presence_db=1.5))
    return path


@pytest.fixture
def processor(tmp_path: Path) -> AudioProcessor:
    settings = Settings.model_validate(
        {
            "database": {"path": tmp_path / "q.db"},
            "storage": {"folder": tmp_path / "store"},
            "scratch": {"folder": tmp_path / "scratch"},
        }
    )
    return AudioProcessor.from_settings(settings)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    path.write_bytes(b"nobody has looked into it yet")
    return path


def test_presets_are_listed_the_houses_own_too(config: Path) -> None:
    listed = json_of("presets", "--config", str(config))
    assert [each["name"] for each in listed] == [*PRESETS, "ours"]
    shown = call("presets", "--config", str(config))
    assert shown.exit_code == 0
    assert [name for name in (*PRESETS, "ours", "auto") if name not in shown.stdout] == []


def test_one_preset_is_shown_with_every_parameter(config: Path) -> None:
    one = json_of("presets", "ours", "--config", str(config))
    assert (one["name"], one["version"], one["about"]) == ("ours", 1, "Ours.")
    assert one["stages"]["equaliser"]["presence_db"] == 1.5
    assert one["stages"]["equaliser"]["mid_q"] == 1.41
    shown = call("presets", "ours", "--config", str(config)).stdout
    assert "presence_db" in shown and "1.5" in shown and "-6 … 6" in shown
    assert "2 or 4" in shown and "2 … 4" not in shown


def test_a_preset_that_is_not_there_is_a_mistake_of_usage() -> None:
    shown = call("presets", "wrm")
    assert shown.exit_code == 2
    assert "did you mean 'warm'?" in shown.stderr


def test_check_config_reads_the_houses_presets(config: Path, tmp_path: Path) -> None:
    assert call("check-config", "--config", str(config)).exit_code == 0
    config.write_text(CONFIG.format(folder=tmp_path, presence_db=7))
    shown = call("check-config", "--config", str(config))
    assert shown.exit_code == 2
    assert (
        "mastering.presets.ours.equaliser.presence_db is 7; it must be a number from -6 to 6."
        in shown.stderr
    )


def test_enqueue_writes_the_wish_and_explain_shows_it(config: Path, song: Path) -> None:
    wish = '{"preset": "ours", "stages": {"width": {"width_percent": 90}}}'
    arguments = ("--config", str(config))
    done = call("enqueue", str(song), "--mastering", wish, *arguments)
    assert done.exit_code == 0, done.output
    assert json_of("explain", "song.wav", *arguments)["mastering"] == wish
    assert "width_percent" in call("explain", "song.wav", *arguments).stdout


def test_explain_shows_any_wish_on_one_line(processor: AudioProcessor, config: Path) -> None:
    with processor:
        processor.queue.insert("a", "a.wav", "\x1b[31m[red]\n" + "x" * 9_000)
    shown = call("explain", "a.wav", "--config", str(config)).stdout
    assert "\x1b[31m" not in shown
    assert r"\x1b[31m[red]\n" in shown
    assert shown.count("x") < 500


def test_enqueue_refuses_what_cannot_be_before_anything_is_done(config: Path, song: Path) -> None:
    arguments = ("--config", str(config))
    refused = call("enqueue", str(song), "--mastering", "orus", *arguments)
    assert refused.exit_code == 1
    assert "mastering.preset is 'orus'" in refused.stderr
    assert call("explain", "song.wav", *arguments).exit_code == 1


def test_ingest_asks_for_nothing_else_of_a_row_in_line(config: Path, song: Path) -> None:
    arguments = ("--config", str(config))
    assert call("enqueue", str(song), "--mastering", "ours", *arguments).exit_code == 0
    refused = call("ingest", str(song), "--mastering", "warm", *arguments)
    assert refused.exit_code == 1
    assert "has a row already" in refused.stderr
    assert ", pending);" in refused.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("asked", "kept"), [("bright", "bright"), ("", None), (None, "warm")], ids=repr
)
def test_a_replaced_row_asks_anew(
    processor: AudioProcessor, song: Path, asked: str | None, kept: str | None
) -> None:
    with processor:
        upload_id = processor.enqueue(song, mastering="warm")
        with pytest.raises(OutputConflict):
            processor.enqueue(song, mastering="bright", replace=True)
        claim = processor.queue.claim("w")
        assert claim is not None and claim.mastering == "warm"
        processor.queue.fail(claim, error_code="corrupt_media", error_message="Broken.")
        assert processor.enqueue(song, replace=True, mastering=asked) == upload_id
        assert processor.find(upload_id).mastering == kept


def test_the_library_refuses_and_lists_as_the_commands_do(
    processor: AudioProcessor, song: Path
) -> None:
    with processor:
        assert tuple(processor.presets()) == PRESETS
        with pytest.raises(MasteringRejected, match=r"targetLoudness is -3"):
            processor.enqueue(song, mastering='{"targetLoudness": -3}')
        assert processor.get_pending_tracks() == []
