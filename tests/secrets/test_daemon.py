"""A real worker, full of canaries, searched from outside while it works and afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from audio_processor.media.binary import find_ffmpeg
from database_manager import DatabaseManager
from tests.secrets.canaries import DISGUISES, PASSWORD, TOKEN, leaked
from tests.secrets.test_error_paths import in_name_of_the_canary
from tests.servers.daemon import free_port
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server
from tests.servers.swift_cluster import SECRET_KEY

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
SPY = """#!/bin/sh
# an FFmpeg that writes down what it is told of us
{{
    tr '\\0' '\\n' < /proc/self/environ; echo; tr '\\0' '\\n' < /proc/$$/cmdline; echo
    echo "umask $(umask)"; ls -l /proc/$$/fd
}} >> '{book}' 2>&1
exec '{ffmpeg}' "$@"
"""


@dataclass
class Evidence:
    """What was found, by where."""

    texts: dict[str, bytes] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)

    def take(self, where: str, found: bytes | str) -> None:
        data = found.encode() if isinstance(found, str) else found
        self.texts[where] = self.texts.get(where, b"") + data


def given_by_environment(canaries: dict[str, str], _folder: Path) -> dict[str, str]:
    return canaries


def given_by_files(canaries: dict[str, str], folder: Path) -> dict[str, str]:
    """Secrets in files that variables point to, as Docker and Kubernetes have them."""
    environment = {}
    for name, value in canaries.items():
        if name.endswith(("PASSWORD", "SECRET_ACCESS_KEY")):
            (folder / name).write_text(value)
            environment[f"{name}_FILE"] = str(folder / name)
        else:
            environment[name] = value
    return environment


@pytest.fixture(scope="module")
def evidence(
    tls_server: DatabaseServer,
    s3_server: S3Server,
    short_track: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Evidence:
    """All that a worker leaves, of a track that completes and of several that fail."""
    folder = tmp_path_factory.mktemp("daemon")
    config = in_name_of_the_canary(tls_server, tls_server.fresh_database())
    _open_to_the_canary(tls_server, config)
    bucket = s3_server.make_bucket()
    client = s3_server.client()
    for name, body in {
        "song.wav": short_track.read_bytes(),
        "words.mp3": b"these are words " * 500,
        "cut.wav": short_track.read_bytes()[:200_000],
    }.items():
        client.put_object(Bucket=bucket, Key=f"tracks/{name}", Body=body)
    queue = DatabaseManager(tls_server.config(config["database"]), tls_server.db_type)
    queue.migrate()
    for name in ("song.wav", "words.mp3", "cut.wav", "gone.wav", "../up.wav"):
        queue.insert(name, name)

    given = given_by_environment if tls_server.db_type == "postgresql" else given_by_files
    port = free_port()
    environment = {
        **_settings(tls_server, config, s3_server, bucket, folder, port),
        **given(
            {
                "AUDIO_PROCESSOR__DATABASE__PASSWORD": PASSWORD,
                "AUDIO_PROCESSOR__STORAGE__SECRET_ACCESS_KEY": SECRET_KEY,
                "AUDIO_PROCESSOR__STORAGE__SESSION_TOKEN": TOKEN,
            },
            folder,
        ),
    }
    found = Evidence()
    with _written_down(folder / "book") as book:
        _work(found, folder, environment, queue, port)
        for arguments in (
            ["status", "--json"],
            ["explain", "song.wav"],
            ["explain", "words.mp3", "--json"],
            ["report", "song.wav", "-o", "report.html"],
        ):
            done = _shell(folder, environment, *arguments)
            found.take(" ".join(arguments[:1]), done.stdout + done.stderr)
    for name in ("stdout", "stderr"):
        found.take(f"the daemon's {name}", (folder / name).read_bytes())
    found.take("what FFmpeg was told", bytes(book))
    for table in ("Uploads", "audio_processor_version"):
        rows = tls_server.sql(tls_server.config(config["database"]), f"SELECT * FROM {table}")
        found.take("the tables", repr(rows))
    for each in client.list_objects_v2(Bucket=bucket)["Contents"]:
        answer = client.get_object(Bucket=bucket, Key=each["Key"])
        found.take("the bucket", each["Key"].encode() + answer["Body"].read())
        found.take("the objects' headers", repr(answer["ResponseMetadata"]))
    found.take("the report", (folder / "report.html").read_bytes())
    queue.close()
    return found


@contextmanager
def _written_down(pipe: Path) -> Iterator[bytearray]:
    """Gather what is written into a pipe: a decoder may write no file, and so may no spy."""
    os.mkfifo(pipe)
    end = os.urandom(16)
    written = bytearray()
    descriptor = os.open(pipe, os.O_RDWR)

    def gather() -> None:
        while not written.endswith(end):
            written.extend(os.read(descriptor, 65536))

    reader = threading.Thread(target=gather)
    reader.start()
    try:
        yield written
    finally:
        os.write(descriptor, end)
        reader.join()
        del written[-len(end) :]
        os.close(descriptor)


def _open_to_the_canary(server: DatabaseServer, config: dict[str, Any]) -> None:
    admin = server.config(config["database"])
    if server.db_type == "mysql":
        server.sql(admin, f"GRANT ALL ON {config['database']}.* TO 'canary'@'%'")
    else:
        server.sql(
            admin,
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO canary",
            f"GRANT ALL ON DATABASE {config['database']} TO canary",
        )


def _work(
    found: Evidence,
    folder: Path,
    environment: dict[str, str],
    queue: DatabaseManager,
    port: int,
) -> None:
    with _daemon(folder, environment) as process:
        _wait_until_all_ended(queue, process)
        for page in ("metrics", "ready", "live", "nothing"):
            found.take(f"/{page}", _page(port, page))
        found.take("our command line", Path(f"/proc/{process.pid}/cmdline").read_bytes())
        _look_at_memory(found, process.pid)
        for path in (folder / "scratch", *(folder / "scratch").rglob("*")):
            found.modes[str(path)] = path.stat().st_mode


def _settings(
    server: DatabaseServer,
    config: dict[str, Any],
    s3_server: S3Server,
    bucket: str,
    folder: Path,
    port: int,
) -> dict[str, str]:
    spy = folder / "ffmpeg"
    spy.write_text(SPY.format(book=folder / "book", ffmpeg=find_ffmpeg().path))
    spy.chmod(0o755)
    given = {
        "database__type": server.db_type,
        "database__host": config["host"],
        "database__port": config["port"],
        "database__user": config["user"],
        "database__name": config["database"],
        "storage__kind": "s3",
        "storage__bucket": bucket,
        "storage__endpoint_url": s3_server.endpoint_url,
        "storage__region": s3_server.region,
        "storage__access_key_id": s3_server.access_key,
        "storage__addressing_style": "path",
        "scratch__folder": folder / "scratch",
        "ffmpeg__path": spy,
        "worker__health_host": "127.0.0.1",
        "worker__health_port": port,
        "worker__poll_interval_s": 0.2,
        "worker__concurrency": 1,
        "logging__level": "DEBUG",
        "logging__format": "json" if server.db_type == "postgresql" else "console",
    }
    return {f"AUDIO_PROCESSOR__{k.upper()}": str(v) for k, v in given.items()}


@contextmanager
def _daemon(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """``audio-processor run`` as a process; SIGTERM at the end."""
    with (folder / "stdout").open("wb") as out, (folder / "stderr").open("wb") as err:
        process = subprocess.Popen(
            _argv("run"), cwd=folder, env=_environ(environment), stdout=out, stderr=err
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, (folder / "stderr").read_text()[-2000:]
    finally:
        process.kill()


def _argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "audio_processor", *arguments]


def _environ(given: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **given}


def _shell(
    folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _argv(*arguments),
        cwd=folder,
        env=_environ(environment),
        capture_output=True,
        text=True,
        check=True,
    )


def _wait_until_all_ended(queue: DatabaseManager, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (counts := queue.counts()).pending or counts.processing:
        assert process.poll() is None, "the daemon has ended"
        assert time.monotonic() < deadline, counts
        time.sleep(0.1)
    assert (queue.counts().completed, queue.counts().failed) == (1, 4)


def _page(port: int, page: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        return error.read()


def _look_at_memory(found: Evidence, pid: int) -> None:
    """As another program of the same user would, one without an administrator's powers."""
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    found.take("limits", next(line for line in limits if line.startswith("Max core file size")))
    setpriv = shutil.which("setpriv")
    powerless = (
        [] if os.geteuid() or not setpriv else [setpriv, "--bounding-set=-all", "--inh-caps=-all"]
    )
    for name in ("environ", "maps", "mem"):
        done = subprocess.run(
            [*powerless, "head", "-c", "1000000", f"/proc/{pid}/{name}"],
            capture_output=True,
            check=False,
        )
        found.take(f"/proc/{name}", done.stdout)
        found.take(f"/proc/{name} refused", done.stderr)


def test_the_canaries_would_be_found(evidence: Evidence) -> None:
    """The search is worth something: what is no secret is found where it belongs."""
    assert b"song" in evidence.texts["the bucket"]
    assert b"unsupported_media" in evidence.texts["the tables"]
    assert b"words.mp3" in evidence.texts["explain"]
    assert b"audio_processor_tracks_total" in evidence.texts["/metrics"]
    assert b"-format_whitelist" in evidence.texts["what FFmpeg was told"]
    assert b"<html" in evidence.texts["the report"]
    assert b"audio_processor" in evidence.texts["the daemon's stderr"]
    assert leaked(PASSWORD) and leaked(TOKEN)


def test_no_secret_is_anywhere_in_what_a_worker_leaves(evidence: Evidence) -> None:
    secrets = [*DISGUISES, SECRET_KEY]
    found = {
        where: [secret for secret in secrets if secret.encode() in text]
        for where, text in evidence.texts.items()
    }
    assert {where: marks for where, marks in found.items() if marks} == {}


def test_ffmpeg_is_told_nothing_and_writes_for_us_alone(evidence: Evidence) -> None:
    book = evidence.texts["what FFmpeg was told"].decode("utf-8", "replace")
    assert "AUDIO_PROCESSOR" not in book
    assert "AWS_" not in book
    calls = book.count("umask ")
    assert calls > 10
    # `ffmpeg -version`, asked for before there is a job, writes nothing
    assert book.count("umask 0077") == calls - book.count("\n-version\n")


def test_the_worker_leaves_no_core_and_shows_no_memory(evidence: Evidence) -> None:
    assert evidence.texts["limits"].split()[-3:-1] == [b"0", b"0"]
    for name in ("environ", "maps", "mem"):
        assert evidence.texts[f"/proc/{name}"] == b""
        assert b"Permission denied" in evidence.texts[f"/proc/{name} refused"]


def test_scratch_is_private(evidence: Evidence) -> None:
    assert len(evidence.modes) > 1
    for path, mode in evidence.modes.items():
        assert mode & 0o077 == 0, path


# ── crashes ──────────────────────────────────────────────────────────────────────────────

CRASH = """
import sys, threading, warnings
from audio_processor.settings import load_settings
from audio_processor.telemetry import configure_logging

settings = load_settings()
configure_logging(sys.argv[1], "INFO", secrets=settings.secrets())
password = settings.database.password.get_secret_value()

class Unlucky:
    def __del__(self):
        raise ValueError(f"in the end: {password}")

def fail():
    try:
        raise OSError(f"cannot log in as u with {password}")
    except OSError as error:
        raise RuntimeError(f"postgresql://u:{password}@h/d failed") from error

Unlucky()
warnings.warn(f"soon {password} will be deprecated")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_crash_is_told_whole_and_without_the_secrets(format_: str, tmp_path: Path) -> None:
    environment = {
        "AUDIO_PROCESSOR__DATABASE__TYPE": "postgresql",
        "AUDIO_PROCESSOR__DATABASE__HOST": "h",
        "AUDIO_PROCESSOR__DATABASE__USER": "u",
        "AUDIO_PROCESSOR__DATABASE__NAME": "n",
        "AUDIO_PROCESSOR__DATABASE__PASSWORD": PASSWORD,
        "PYTHONFAULTHANDLER": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", CRASH, format_],
        env=_environ(environment),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert leaked(done.stdout + done.stderr) == []
    for told in ("in the end", "will be deprecated", "cannot log in as u", "RuntimeError"):
        assert told in done.stderr
    assert done.stderr.count("RuntimeError") >= 2, "the thread's and the program's"
    if format_ == "json":
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        assert [line["level"] for line in lines].count("critical") == 3


def test_a_signal_that_would_dump_core_dumps_none(tmp_path: Path) -> None:
    """SIGQUIT's default, on the program itself, where the limit alone would allow a core."""
    code = "import resource, os, signal; resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\n"
    code += "from audio_processor.hardening import harden\n"
    code += "harden(); os.kill(os.getpid(), signal.SIGQUIT)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=_environ({}), check=False)
    assert done.returncode == -signal.SIGQUIT
    assert list(tmp_path.iterdir()) == []
