"""Rows and objects that look like SQL, shell, markup or a terminal's commands are only names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_processor import AudioProcessor, Settings
from audio_processor.model import COMPLETED
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server

SHAPES = {
    "sql": "x'); DROP TABLE Uploads; --",
    "sql comment": "x' OR 1=1 #",
    "placeholders": "%s %(x)s :name ? $1 {0} {}",
    "shell": "$(touch owned) `touch owned`; touch owned | touch owned & #",
    "template": "{{7*7}} ${7*7} <%= 7*7 %> {0.__class__.__mro__}",
    "lookup": "${jndi:ldap://127.0.0.1/x}",
    "option": "--config=owned.toml",
    "short option": "-i",
    "terminal": "\x1b]0;owned\x07\x1b[2J\x9b31m red",
    "console markup": "[red]x[/] [/] [link=http://x]y[/link] [bold",
    "html": '"><img src=x onerror=alert(1)>&amp;',
    "spreadsheet": '=HYPERLINK("http://x")',
    "playlist": "x\n#EXT-X-ENDLIST\nhttp://x/y.ts",
    "percent": "%0d%0aSet-Cookie: x %2e%2e",
    "concat": "file:/etc/passwd|concat:a",
    "right to left": "\u202egnp.exe",
    "folder": "a\\..\\b",
}
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal obeys; a table's own lines are printed with none, since nobody watches."""


def shell(folder: Path, settings: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-m", "audio_processor", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": root,
            "AUDIO_PROCESSOR_CONFIG": str(settings),
            "COLUMNS": "4000",
            "LC_ALL": "C.UTF-8",
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(params=["postgres_server", "mariadb_server"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    found: DatabaseServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def config(server: DatabaseServer) -> dict[str, Any]:
    return server.fresh_database()


@pytest.fixture
def settings_file(server: DatabaseServer, config: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    database = {key: config[key] for key in ("host", "port", "user", "password")}
    tables: dict[str, dict[str, Any]] = {
        "database": {"type": server.db_type, "name": config["database"], **database},
        "storage": {"folder": str(tmp_path / "store")},
        "scratch": {"folder": str(tmp_path / "scratch")},
        "worker": {"concurrency": 1},
    }
    path.write_text(
        "".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(v)}\n" for key, v in table.items())
            for name, table in tables.items()
        )
    )
    return path


def test_whatever_clients_write_into_rows(
    server: DatabaseServer, config: dict[str, Any], settings_file: Path, tmp_path: Path
) -> None:
    """Ids, names and wishes go all the way to a failed row, and back to a person's terminal."""
    assert shell(tmp_path, settings_file, "migrate").returncode == 0
    with AudioProcessor(None, config, server.db_type) as client:
        for shape in SHAPES.values():
            assert client.queue.insert(shape, f"{shape}.wav", shape)
    before = sorted(path.name for path in tmp_path.iterdir())

    said = [shell(tmp_path, settings_file, "once"), shell(tmp_path, settings_file, "status")]
    said += [shell(tmp_path, settings_file, "retry", "--all-failed")]

    assert [done.returncode for done in said] == [1, 0, 1]
    for done in said:
        assert COMMANDS.findall(done.stdout + done.stderr) == []
        assert "Traceback" not in done.stderr
    rows = server.sql(config, "SELECT upload_id, file_name, processing_status FROM Uploads")
    assert sorted(row[0] for row in rows) == sorted(SHAPES.values())
    assert all(
        name == f"{upload_id}.wav" and status == "failed" for upload_id, name, status in rows
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*before, "scratch", "store"})


@pytest.mark.parametrize(
    "shape", ["sql", "template", "option", "terminal", "console markup", "playlist"]
)
def test_explain_shows_a_name_as_it_is_and_obeys_none(shape: str, tmp_path: Path) -> None:
    upload_id = SHAPES[shape]
    (tmp_path / "config.toml").write_text("")
    config = {"database": str(tmp_path / "data" / "audio-processor.db")}
    with AudioProcessor(None, config, "sqlite") as client:
        client.queue.insert(upload_id, f"{upload_id}.wav", upload_id)
    shown = shell(tmp_path, tmp_path / "config.toml", "explain", "--", upload_id)
    asked = shell(tmp_path, tmp_path / "config.toml", "explain", "--json", "--", upload_id)
    assert COMMANDS.findall(shown.stdout + asked.stdout) == []
    assert (shown.stderr, asked.stderr) == ("", "")
    assert json.loads(asked.stdout)["file_name"] == f"{upload_id}.wav"
    if upload_id.isprintable():
        assert shown.stdout.count(upload_id) == 3, "title, upload, mastering"


def test_a_track_of_such_a_name_is_a_track(
    server: DatabaseServer,
    config: dict[str, Any],
    s3_server: S3Server,
    short_track: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All that a name may have in it, in one: into keys, playlists, tags and columns."""
    name = '-i $(touch owned) `x` \';DROP TABLE Uploads;-- {{7*7}} %s %2e [b] <i> "&" #? +.wav'
    monkeypatch.chdir(tmp_path)
    track = tmp_path / name
    track.write_bytes(short_track.read_bytes())
    settings = Settings.model_validate(
        {
            "storage": s3_server.settings(s3_server.make_bucket()),
            "scratch": {"folder": tmp_path / "scratch"},
        }
    )
    with AudioProcessor(settings.storage.bucket, config, server.db_type, settings=settings) as done:
        done.queue.migrate()
        upload_id = done.enqueue(track)
        assert done.process_audio(name)
        assert done.find(upload_id).status == COMPLETED
        stem = name.removesuffix(".wav")
        for made in ("playlist.m3u8", "metadata.json", "waveform.json"):
            assert done.store.size(f"mwonya_audio_tracks/{stem}/{made}")
        metadata = json.loads(
            done.store.read(f"mwonya_audio_tracks/{stem}/metadata.json", max_bytes=1 << 20)
        )
        assert stem in json.dumps(metadata, ensure_ascii=False).replace("\\", "")
    assert not (tmp_path / "owned").exists()
    assert server.sql(config, "SELECT count(*) FROM Uploads") == [(1,)]
