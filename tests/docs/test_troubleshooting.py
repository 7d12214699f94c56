"""What the troubleshooting page quotes is provoked, and compared with what is said then."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import wave
from collections.abc import Mapping
from pathlib import Path

import pytest

from audio_processor import AudioProcessor
from audio_processor.errors import AudioProcessorError, ConfigError
from audio_processor.settings import load_settings
from tests.docs.pages import DOCS, README, blocks, section, table_rows
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server

PAGE = DOCS / "troubleshooting.md"
Environment = dict[str, str]
NOWHERE = "http://127.0.0.1:9"


def cli(folder: Path, environment: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "audio_processor", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def pattern(quotation: str) -> re.Pattern[str]:
    """A quotation as a pattern: an ellipsis is anything."""
    return re.compile(".*".join(re.escape(part) for part in quotation.split("…")), re.DOTALL)


def quoted(heading: str) -> dict[str, int]:
    """The messages of a table with exit codes, and the code of each."""
    rows = [row for row in table_rows(section(PAGE, heading)) if row[0].startswith("`")]
    return {row[0].strip("`"): int(row[1]) for row in rows}


def assert_all_are_said(heading: str, said: list[tuple[int, str]]) -> None:
    """Each quotation is one of the messages, with its exit code, and each message is quoted."""
    for message, code in quoted(heading).items():
        fits = [c for c, text in said if pattern(message).fullmatch(text)]
        assert fits == [code], (message, said)
    assert len(quoted(heading)) == len(said)


def last_line(stderr: str) -> str:
    return stderr.strip().splitlines()[-1].removeprefix("audio-processor: ")


def test_the_database(
    postgres_server: DatabaseServer, environment: Environment, tmp_path: Path
) -> None:
    config = postgres_server.fresh_database()
    base = {
        "TYPE": "postgresql",
        "HOST": config["host"],
        "PORT": str(config["port"]),
        "USER": config["user"],
        "PASSWORD": config["password"],
        "NAME": config["database"],
    }
    said = []
    for change in (
        {"PASSWORD": "wrong", "NAME": "music"},
        {"PORT": "9", "NAME": "music"},
        {"NAME": "nosuch"},
        {},
    ):
        given = {f"AUDIO_PROCESSOR__DATABASE__{k}": v for k, v in (base | change).items()}
        code, _, stderr = cli(tmp_path, environment | given, "status")
        said.append((code, last_line(stderr)))
    assert_all_are_said("The database", said)


def test_the_store(
    s3_server: S3Server, environment: Environment, music: Path, tmp_path: Path
) -> None:
    shutil.copy(music, tmp_path / "song.wav")
    base = {
        "AUDIO_PROCESSOR__STORAGE__KIND": "s3",
        "AUDIO_PROCESSOR__STORAGE__BUCKET": s3_server.make_bucket(),
        "AUDIO_PROCESSOR__STORAGE__ENDPOINT_URL": s3_server.endpoint_url,
        "AUDIO_PROCESSOR__STORAGE__REGION": s3_server.region,
        "AUDIO_PROCESSOR__STORAGE__ATTEMPTS": "1",
        "AWS_ACCESS_KEY_ID": s3_server.access_key,
        "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
    }
    said = []
    for change in (
        {"AWS_SECRET_ACCESS_KEY": "not-the-secret"},
        {"AUDIO_PROCESSOR__STORAGE__BUCKET": "nosuch"},
        {"AUDIO_PROCESSOR__STORAGE__ENDPOINT_URL": NOWHERE},
        {
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_SHARED_CREDENTIALS_FILE": "nowhere",
            "AWS_CONFIG_FILE": "nowhere",
        },
    ):
        code, _, stderr = cli(tmp_path, environment | base | change, "enqueue", "song.wav")
        said.append((code, last_line(stderr)))
    assert_all_are_said("The store", said)


def test_the_configuration() -> None:
    provoked: list[tuple[Path | None, dict[str, str]]] = [
        (None, {"AUDIO_PROCESSOR__STORAGE__BUKET": "x"}),
        (None, {"AUDIO_PROCESSOR__STORAGE__KIND": "s3"}),
        (Path("nope.toml"), {}),
    ]
    said: list[str] = []
    for config, environ in provoked:
        with pytest.raises(ConfigError) as refusal:
            load_settings(config, environ=environ)
        said.append(str(refusal.value))
    assert said in [block.text.splitlines() for block in blocks("text", PAGE)]


# ── tracks ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def rows(environment: Environment, music: Path, tmp_path: Path) -> dict[str, str]:
    """``error_code: error_message`` of tracks that fail, each in the way that its name says."""
    limited = environment | {"AUDIO_PROCESSOR__LIMITS__MAX_DURATION_S": "31"}

    def again(*arguments: str) -> str:
        return cli(tmp_path, limited, *arguments)[1]

    def sql(statement: str, *values: str) -> None:
        with sqlite3.connect(tmp_path / "data" / "audio-processor.db") as connection:
            connection.execute(statement, values)

    make_tracks(tmp_path, music)
    again("enqueue", "song.wav")
    again("once")
    again("enqueue", "cut.wav", "text.mp3", "long.wav", "song.flac")
    for name in ("a/b.wav", "gone.wav", "wish.wav"):
        sql("INSERT INTO Uploads (upload_id, file_name) VALUES (?, ?)", name, name)
    shutil.copy(tmp_path / "song.wav", tmp_path / "data" / "store" / "tracks" / "wish.wav")
    sql("UPDATE Uploads SET mastering = 'nosuch' WHERE upload_id = 'wish.wav'")
    sql(
        "INSERT INTO Uploads (upload_id, file_name, processing_status, attempts, worker_id, "
        "lease_token, lease_expires_at) VALUES "
        "('killer', 'killer.wav', 'processing', 6, 'pod-1', 'dead', '2001-01-01 00:00:00.000000')"
    )
    again("once")
    names = ("cut.wav", "text.mp3", "long.wav", "a/b.wav", "gone.wav", "wish.wav", "song.flac")
    settings = load_settings(
        overrides={"database.path": tmp_path / "data" / "audio-processor.db"}, environ={}
    )
    with AudioProcessor.from_settings(settings) as processor:
        stories = [processor.find(name) for name in (*names, "killer")]
    return {str(s.error_code): f"{s.error_code}: {s.error_message}" for s in stories}


def make_tracks(folder: Path, music: Path) -> None:
    for name in ("song.wav", "song.flac"):
        shutil.copy(music, folder / name)
    (folder / "text.mp3").write_text("not music\n" * 100)
    for name, duration_s in (("cut.wav", 30), ("long.wav", 32)):
        with wave.open(str(folder / name), "wb") as silence:
            silence.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
            silence.writeframes(bytes(2 * 8000 * duration_s))
    whole = (folder / "cut.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 3])


def test_tracks(rows: dict[str, str]) -> None:
    found = {}
    for row in table_rows(section(PAGE, "A track")):
        if row[0].startswith("`") and ": " in row[0]:
            sentence = row[0].strip("`")
            found[sentence.partition(":")[0]] = sentence
    assert set(found) == set(rows)
    for code, sentence in found.items():
        assert pattern(sentence).fullmatch(rows[code]), (sentence, rows[code])


def test_codes_without_a_sentence_are_the_programs_own() -> None:
    bare = [
        code
        for row in table_rows(section(PAGE, "A track"))
        for code in re.findall(r"`(\w+)`", row[0])
        if ": " not in row[0]
    ]
    assert bare
    known = {error.code for error in in_the_tree(AudioProcessorError)}
    assert set(bare) <= known | {AudioProcessorError.code, "ffmpeg_failed", "encoder_failed"}


def in_the_tree(error: type[AudioProcessorError]) -> list[type[AudioProcessorError]]:
    direct = error.__subclasses__()
    return [*direct, *(deeper for one in direct for deeper in in_the_tree(one))]


def test_a_name_that_has_a_row(environment: Environment, music: Path, tmp_path: Path) -> None:
    shutil.copy(music, tmp_path / "song.wav")
    assert cli(tmp_path, environment, "enqueue", "song.wav")[0] == 0
    code, _, stderr = cli(tmp_path, environment, "enqueue", "song.wav")
    assert code == 1
    quotations = [block.text.strip() for block in blocks("text", PAGE)]
    assert any(pattern(one).fullmatch(last_line(stderr)) for one in quotations)


def test_what_the_readme_quotes_is_on_the_page() -> None:
    """The README's are the page's, cut shorter."""
    page = PAGE.read_text()
    whole = [match[1] for match in re.finditer(r"`([^`\n]+)`", page)]
    whole += [line for block in blocks("text", PAGE) for line in block.text.splitlines()]

    def is_there(quotation: str) -> bool:
        return any(pattern(quotation).fullmatch(one) for one in whole)

    rows = [r for r in table_rows(section(README, "Troubleshooting")) if r[0].startswith("`")]
    assert len(rows) >= 6
    assert [row[0] for row in rows if not is_there(row[0].strip("`"))] == []
