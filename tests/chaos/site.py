"""Where a run takes place: a database behind a wire, S3 behind proxies, a small disk."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from database_manager import DatabaseManager
from tests.queue.proxy import Proxy, proxied
from tests.servers.daemon import free_port
from tests.servers.database import DatabaseServer
from tests.servers.flaky_proxy import FlakyProxy, flaky_proxy
from tests.servers.s3 import S3Server

LEASE_S = 6.0
HEARTBEAT_S = 2.0
POLL_S = 0.5
DRAIN_S = 15.0
READ_TIMEOUT_S = 4.0
STALL_S = 4.0
SMALL_DISK_MIB = 64

RAW = "tracks/"
OUTPUT = "mwonya_audio_tracks/"
FAILED = "failedprocessing_tracks/"


@dataclass(frozen=True)
class Site:
    """Everything around the workers."""

    database: DatabaseServer
    config: dict[str, Any]
    wire: Proxy
    """Between the workers and the database."""
    s3: S3Server
    bucket: str
    doors: tuple[FlakyProxy, ...]
    """Between each worker slot and S3: what comes through the i-th is the i-th's."""
    folder: Path
    small_disk: Path | None
    """A scratch folder on a file system of its own that can be filled, where we may mount one."""
    health_ports: tuple[int, ...]
    max_attempts: int
    drain_s: float
    queue: DatabaseManager = field(repr=False)
    """The operator's side, past the wire."""

    @property
    def scratch(self) -> Path:
        return self.small_disk or self.folder / "scratch"

    def client(self) -> Any:
        """boto3, past the doors."""
        return self.s3.client()

    def objects(self, prefix: str = "") -> dict[str, str]:
        """Every key below the prefix and its ETag."""
        pages = self.client().get_paginator("list_objects_v2")
        return {
            each["Key"]: each["ETag"].strip('"')
            for page in pages.paginate(Bucket=self.bucket, Prefix=prefix)
            for each in page.get("Contents", ())
        }

    def read(self, key: str) -> bytes | None:
        """An object's bytes, or None."""
        client = self.client()
        try:
            body: bytes = client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        return body

    def has(self, key: str) -> bool:
        """Whether there is such an object; whatever else than yes or no is the answer is raised."""
        client = self.client()
        try:
            client.head_object(Bucket=self.bucket, Key=key)
        except client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def put(self, key: str, data: bytes) -> None:
        self.client().put_object(Bucket=self.bucket, Key=key, Body=data)

    def worker_config(self, slot: int) -> Path:
        """Write the slot's configuration file and return where it is."""
        path = self.folder / f"worker-{slot}.toml"
        database = {
            "type": self.database.db_type,
            "host": "127.0.0.1",
            "port": self.wire.port,
            "user": self.config["user"],
            "password": self.config["password"],
            "name": self.config["database"],
            "connect_timeout_s": 3,
        }
        storage = {
            **self.s3.settings(self.bucket, endpoint_url=self.doors[slot].url),
            "connect_timeout_s": 2,
            "read_timeout_s": READ_TIMEOUT_S,
            "attempts": 3,
        }
        worker = {
            "concurrency": 2,
            "poll_interval_s": POLL_S,
            "lease_s": LEASE_S,
            "heartbeat_s": HEARTBEAT_S,
            "max_attempts": self.max_attempts,
            "backoff_base_s": 0.5,
            "backoff_cap_s": 3,
            "drain_timeout_s": self.drain_s,
            "health_host": "127.0.0.1",
            "health_port": self.health_ports[slot],
        }
        groups = {
            "database": database,
            "storage": storage,
            "worker": worker,
            "limits": {"stall_timeout_s": STALL_S},
            "ffmpeg": {"pin_cpus": False},
            "scratch": {"folder": str(self.scratch)},
            "logging": {"format": "json"},
        }
        lines = []
        for group, values in groups.items():
            lines.append(f"[{group}]")
            lines += [f"{key} = {_toml(value)}" for key, value in values.items()]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


@contextlib.contextmanager
def site(
    database: DatabaseServer,
    s3: S3Server,
    folder: Path,
    *,
    slots: int,
    max_attempts: int = 10,
    drain_s: float = DRAIN_S,
    small_disk: bool = True,
) -> Iterator[Site]:
    """Yield a fresh database and bucket for ``slots`` workers."""
    config = database.fresh_database()
    with contextlib.ExitStack() as stack:
        queue = DatabaseManager(config, database.db_type)
        stack.callback(queue.close)
        queue.migrate()
        yield Site(
            database=database,
            config=config,
            wire=stack.enter_context(proxied(database.host, database.port)),
            s3=s3,
            bucket=s3.make_bucket(),
            doors=tuple(stack.enter_context(flaky_proxy(s3.endpoint_url)) for _ in range(slots)),
            folder=folder,
            small_disk=stack.enter_context(_mounted(folder / "small")) if small_disk else None,
            health_ports=tuple(free_port() for _ in range(slots)),
            max_attempts=max_attempts,
            drain_s=drain_s,
            queue=queue,
        )


@contextlib.contextmanager
def _mounted(folder: Path) -> Iterator[Path | None]:
    """A tmpfs of our own; None where this user may not mount."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SMALL_DISK_MIB}m", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        # lazily: a killed worker's FFmpeg may still be on its way out
        subprocess.run(["umount", "-l", str(folder)], check=False)
