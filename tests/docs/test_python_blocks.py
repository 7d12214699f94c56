"""Every Python example is run, on real servers where it names some."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from audio_processor import AudioProcessor, load_settings
from tests.docs.pages import DOCS, README, Block, blocks
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server

EXAMPLES = blocks("python")
BUCKET = "my-bucket"


def test_there_are_examples_and_each_is_run_below() -> None:
    assert {block.page for block in EXAMPLES} == {README, DOCS / "api.md"}
    assert len(EXAMPLES) == 2


def run(code: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_api_pages_example(environment: dict[str, str], tmp_path: Path) -> None:
    [block] = blocks("python", DOCS / "api.md")
    said = run(block.text, tmp_path, environment)
    for word in ("low: -1", "med: -1", "high: -1", "m4a: -1", "mwonya_audio_tracks/song"):
        assert word in said
    assert "upload_busy: Upload" in said


def test_the_readmes_example_on_real_servers(
    environment: dict[str, str],
    tmp_path: Path,
    music: Path,
    mariadb_server: DatabaseServer,
    s3_server: S3Server,
) -> None:
    [block] = blocks("python", README)
    database = mariadb_server.fresh_database()
    s3_server.make_bucket(BUCKET)
    environment |= {
        # where Amazon's address would be taken
        "AWS_ENDPOINT_URL": s3_server.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        "AWS_REGION": s3_server.region,
    }
    settings = load_settings(
        overrides={"storage.endpoint_url": s3_server.endpoint_url, "storage.kind": "s3",
                   "storage.bucket": BUCKET}, environ=environment)  # fmt: skip
    track = tmp_path / "song.wav"
    track.write_bytes(music.read_bytes())
    with AudioProcessor(BUCKET, database, "mysql", settings=settings) as processor:
        processor.queue.migrate()
        processor.enqueue(track)
    said = run(for_these_servers(block, database, s3_server), tmp_path, environment)
    assert "TrackSummary(track_id='song'" in said
    with AudioProcessor(BUCKET, database, "mysql", settings=settings) as processor:
        assert processor.find("song.wav").status == "completed"


def for_these_servers(block: Block, database: dict[str, object], s3: S3Server) -> str:
    """The example with the names that it invented replaced by those of the servers there are."""
    code = block.text
    for invented, real in {
        '"host": "db.example.net"': f'"host": {database["host"]!r}',
        '"port": 3306': f'"port": {database["port"]!r}',
        '"user": "audio"': f'"user": {database["user"]!r}',
        '"password": "…"': f'"password": {database["password"]!r}',
        '"database": "music"': f'"database": {database["database"]!r}',
        '"https://s3.example.net"': repr(s3.endpoint_url),
    }.items():
        assert code.count(invented) == 1, invented
        code = code.replace(invented, real)
    return code


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_an_example_names_no_secret(block: Block) -> None:
    assert "AKIA" not in block.text
