"""Where acceptance runs: the embedded default and the two real pairs of servers.

Each back end is configured as an operator would, by the environment alone, and looked into by
plain means: files of a folder, boto3.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.servers.database import DatabaseServer
from tests.servers.mariadb import running_mariadb
from tests.servers.postgres import running_postgres
from tests.servers.s3 import S3Server, running_s3

BackEndName = Literal["embedded", "postgresql+s3", "mariadb+s3"]
BACK_ENDS: tuple[BackEndName, ...] = ("postgresql+s3", "mariadb+s3", "embedded")
PREFIX = "AUDIO_PROCESSOR__"


@dataclass(frozen=True, slots=True)
class BackEnd:
    """A place to run the program against."""

    name: BackEndName
    folder: Path
    """Its working directory: nothing of the caller's configuration is in it."""
    environment: dict[str, str]
    read: Callable[[str], bytes]
    """The object of this key, by other means than ours."""

    def run(self, *arguments: str) -> str:
        """Run the program as a user would; return what it says. Raises ``RuntimeError``."""
        inherited = {key: value for key, value in os.environ.items() if not _is_ours(key)}
        done = subprocess.run(
            [sys.executable, "-m", "audio_processor", *arguments],
            cwd=self.folder,
            env={**inherited, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-3000:]
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}:\n{said}")
        return done.stdout


def _is_ours(key: str) -> bool:
    return key.startswith(("AUDIO_PROCESSOR_", "AWS_"))


@contextmanager
def running(names: Sequence[BackEndName], folder: Path) -> Iterator[list[BackEnd]]:
    """Start what the back ends need and yield them, empty, in the order asked for."""
    with ExitStack() as stack:
        s3 = stack.enter_context(running_s3()) if any("s3" in name for name in names) else None
        made = []
        for name in names:
            below = folder / name
            below.mkdir(parents=True)
            if name == "embedded":
                made.append(embedded(below))
                continue
            assert s3 is not None
            start = running_postgres if name == "postgresql+s3" else running_mariadb
            made.append(on_services(name, stack.enter_context(start()), s3, below))
        yield made


def embedded(folder: Path) -> BackEnd:
    """Return the default: SQLite and a folder below the working directory, nothing configured."""
    store = folder / "data/store"
    return BackEnd("embedded", folder, {}, lambda key: (store / key).read_bytes())


def on_services(name: BackEndName, database: DatabaseServer, s3: S3Server, folder: Path) -> BackEnd:
    """Return a back end on a fresh database and a fresh bucket of the servers."""
    login, bucket = database.fresh_database(), s3.make_bucket()
    stated = {
        "DATABASE__TYPE": database.db_type,
        "DATABASE__HOST": login["host"],
        "DATABASE__PORT": str(login["port"]),
        "DATABASE__USER": login["user"],
        "DATABASE__PASSWORD": login["password"],
        "DATABASE__NAME": login["database"],
        "STORAGE__KIND": "s3",
        "STORAGE__BUCKET": bucket,
        "STORAGE__ENDPOINT_URL": s3.endpoint_url,
        "STORAGE__ADDRESSING_STYLE": "path",
    }
    environment = {f"{PREFIX}{key}": value for key, value in stated.items()} | {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_REGION": s3.region,
    }

    def read(key: str) -> bytes:
        content: bytes = s3.client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    return BackEnd(name, folder, environment, read)
