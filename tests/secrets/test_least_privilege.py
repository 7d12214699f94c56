"""The worker with the rights that SECURITY.md grants, and with nothing beside them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from audio_processor import AudioProcessor, Settings
from audio_processor.errors import ConfigError, StoreUnavailable
from audio_processor.model import COMPLETED, FAILED, PENDING
from database_manager import DatabaseManager
from tests.queue.backend import CUSTOMERS_TABLE
from tests.secrets.page import allowed_actions, statements
from tests.servers.database import DatabaseServer
from tests.servers.flaky_proxy import Answer, Seen, flaky_proxy, s3_error
from tests.servers.s3 import S3Server
from tests.storage.conftest import permission
from uploads_queue.schema import HEAD

PASSWORDS = {"audio_worker": "the-workers-own", "audio_owner": "the-owners-own"}


# ── the database, as its administrator grants it ─────────────────────────────────────────


def granted(server: DatabaseServer, database: str, user: str) -> list[str]:
    """The page's statements for this user, with names for the page's placeholders."""
    product = "PostgreSQL" if server.db_type == "postgresql" else "MySQL and MariaDB"
    found = statements(f"{product}: {user}")
    return [one.replace("…", PASSWORDS[user]).replace("music", database) for one in found]


@pytest.fixture(scope="module")
def database(tls_server: DatabaseServer) -> dict[str, Any]:
    """The customer's own table, migrated by its owner, and a worker who may not do that."""
    config = tls_server.fresh_database()
    tls_server.sql(config, CUSTOMERS_TABLE, "CREATE TABLE customers (card VARCHAR(20))")
    tls_server.sql(config, *granted(tls_server, config["database"], "audio_owner"))
    owner = DatabaseManager(_as(config, "audio_owner"), tls_server.db_type)
    owner.migrate()
    owner.close()
    tls_server.sql(config, *granted(tls_server, config["database"], "audio_worker"))
    return config


def _as(config: dict[str, Any], user: str) -> dict[str, Any]:
    encrypted = {"tls": True, "tls_verify": False}  # test_tls has the rest
    return config | {"user": user, "password": PASSWORDS[user]} | encrypted


def test_the_worker_may_do_nothing_else_in_the_database(
    tls_server: DatabaseServer, database: dict[str, Any]
) -> None:
    worker = DatabaseManager(_as(database, "audio_worker"), tls_server.db_type)
    assert worker.schema_state().up_to_date
    worker.close()
    login = {key: value for key, value in _as(database, "audio_worker").items() if key[:3] != "tls"}
    table = "uploads" if tls_server.db_type == "postgresql" else "Uploads"
    for forbidden in (
        f"DELETE FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE {table} ADD COLUMN stolen INT",
        "SELECT * FROM customers",
        "UPDATE audio_processor_version SET version_num = '9999'",
        "CREATE TABLE mine (x INT)" if tls_server.db_type == "mysql" else "CREATE SCHEMA mine",
    ):
        with pytest.raises(Exception, match=r"(?i)denied|must be owner|permission"):
            tls_server.sql(login, forbidden)


def test_migrating_takes_another_user(tls_server: DatabaseServer, database: dict[str, Any]) -> None:
    tls_server.sql(database, "UPDATE audio_processor_version SET version_num = '0001'")
    worker = DatabaseManager(_as(database, "audio_worker"), tls_server.db_type)
    with pytest.raises(ConfigError, match="the user may not do this"):
        worker.migrate()
    worker.close()
    tls_server.sql(database, f"UPDATE audio_processor_version SET version_num = '{HEAD}'")


# ── the store, behind a guard that knows the policy ──────────────────────────────────────


@dataclass
class Guard:
    """Answers as Amazon does where a policy does not grant what a request needs."""

    server: S3Server
    bucket: str
    allowed: set[str]
    refused: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    fail_part: int | None = None
    """A part of a multipart upload that never gets through."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, seen: Seen) -> Answer | None:
        action = permission(seen, self.bucket)
        with self._lock:
            (self.used.add if action in self.allowed else self.refused.append)(action)
        if action not in self.allowed:
            return s3_error(403, "AccessDenied")
        if action == "s3:GetObject" and not self._is_there(seen):
            return s3_error(403, "AccessDenied")  # 404 is for those who may list
        if self.fail_part is not None and seen.query.get("partNumber") == str(self.fail_part):
            return s3_error(403, "AccessDenied")
        return None

    def _is_there(self, seen: Seen) -> bool:
        from urllib.parse import unquote

        client = self.server.client()
        key = unquote(seen.path.removeprefix(f"/{self.bucket}/"))
        try:
            client.head_object(Bucket=self.bucket, Key=key)
        except client.exceptions.ClientError:
            return False
        return True


@dataclass
class House:
    """A worker with the page's rights on both sides, and the guard's book."""

    processor: AudioProcessor
    guard: Guard


@pytest.fixture
def house(
    tls_server: DatabaseServer,
    database: dict[str, Any],
    s3_server: S3Server,
    ca_file: Path,
    tmp_path: Path,
) -> Iterator[House]:
    tls_server.sql(database, "DELETE FROM Uploads")
    worker = _as(database, "audio_worker")
    guard = Guard(s3_server, s3_server.make_bucket(), allowed_actions())
    with flaky_proxy(s3_server.endpoint_url) as door:
        door.weather = guard
        settings = Settings.model_validate(
            {
                "database": {
                    "type": tls_server.db_type,
                    **{key: worker[key] for key in ("host", "port", "user", "password")},
                    "name": worker["database"],
                    "tls": True,
                    "tls_ca_file": ca_file,
                },
                "storage": {
                    **s3_server.settings(guard.bucket, endpoint_url=door.url),
                    "part_size_mib": 5,
                    "attempts": 1,
                },
                "scratch": {"folder": tmp_path / "scratch"},
                "worker": {"concurrency": 1},
            }
        )
        with AudioProcessor.from_settings(settings) as processor:
            yield House(processor, guard)


def test_every_way_of_a_track_is_open_to_the_worker(
    house: House, short_track: Path, tmp_path: Path
) -> None:
    processor = house.processor
    long_track = tmp_path / "long.wav"
    long_track.write_bytes(short_track.read_bytes() + bytes(6 * 2**20))  # sent in parts
    words = tmp_path / "words.mp3"
    words.write_text("no music at all\n" * 100)
    done, _, refused = (processor.enqueue(path) for path in (short_track, long_track, words))
    processor.queue.insert("lost", "never-uploaded.wav")

    processor.process_pending_tracks()

    assert processor.find(done).status == COMPLETED
    assert processor.find(refused).error_code == "unsupported_media"
    assert processor.find("lost").error_code == "source_missing"
    assert processor.store.size("failedprocessing_tracks/words.mp3") == words.stat().st_size
    processor.retry(refused)
    assert processor.store.size("tracks/words.mp3") == words.stat().st_size
    processor.enqueue(short_track, replace=True)
    assert processor.process_audio(short_track.name), "what is published is replaced"
    assert house.guard.refused == []
    assert house.guard.used == {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}


def test_an_upload_in_parts_that_fails_may_not_be_aborted_and_that_is_all(
    house: House, tmp_path: Path
) -> None:
    """Its parts stay, for the lifecycle rule; what is told is why it failed, not that."""
    big = tmp_path / "big.wav"
    big.write_bytes(bytes(11 * 2**20))
    house.guard.fail_part = 2
    with pytest.raises(StoreUnavailable, match="UploadPart"):
        house.processor.enqueue(big)
    assert set(house.guard.refused) == {"s3:AbortMultipartUpload"}
    assert house.processor.queue.find("big.wav") is None
    house.guard.fail_part = None
    house.processor.enqueue(big)
    assert house.processor.store.size("tracks/big.wav") == big.stat().st_size


def test_a_worker_without_the_right_to_write_fails_no_track(
    house: House, short_track: Path
) -> None:
    """A policy with a hole in it is an outage, not the artists' fault."""
    upload_id = house.processor.enqueue(short_track)
    house.guard.allowed -= {"s3:PutObject"}
    house.processor.process_pending_tracks()
    record = house.processor.find(upload_id)
    assert record.status != FAILED and record.error_code == "store_unavailable"
    assert "may not do this in bucket" in (record.error_message or "")


def test_a_worker_that_may_no_longer_read_fails_no_track(house: House, short_track: Path) -> None:
    """Refused and missing are one answer; an object of the worker's own tells which it was."""
    upload_id = house.processor.enqueue(short_track)
    house.processor.queue.insert("lost", "never-uploaded.wav")
    house.guard.allowed -= {"s3:GetObject"}
    house.processor.process_pending_tracks()
    for waiting in (upload_id, "lost"):
        record = house.processor.find(waiting)
        assert (record.status, record.attempts) == (PENDING, 0)
    with pytest.raises(StoreUnavailable, match=r"s3:GetObject, or kms:Decrypt"):
        house.processor.store.ping()
    house.guard.allowed |= {"s3:GetObject"}
    house.processor.store.ping()
    assert house.processor.store.size("mwonya_audio_tracks/.probe") == 0
