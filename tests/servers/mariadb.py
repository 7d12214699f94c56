"""A private MariaDB: the distribution's (Debian: mariadb-server-core, mariadb-client-core)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mysql.connector

from tests.requirements import missing
from tests.servers.certificates import Certificate
from tests.servers.daemon import NOBODY, Daemon, free_port, private_folder, run, running
from tests.servers.database import PASSWORD, USER, DatabaseServer

SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


@contextlib.contextmanager
def running_mariadb(
    tls: Certificate | None = None, settings: Mapping[str, str | int] | None = None
) -> Iterator[DatabaseServer]:
    """Start it on a free port in a temporary folder; stop it and remove all of it.

    Without a certificate it speaks no TLS; with one it takes both kinds of connection.
    ``settings`` go before the ones below.
    """
    server_program = shutil.which("mariadbd", path=SEARCH)
    install = shutil.which("mariadb-install-db", path=SEARCH)
    if server_program is None or install is None:
        missing("no MariaDB: mariadbd is not installed (tools/install-servers.sh, as root)")
    # never with --user=root: mariadb-install-db would then change the owner of a system's plugin
    is_root = os.geteuid() == 0
    with private_folder("mariadb-", as_nobody=is_root) as folder:
        data, port = folder / "data", free_port()
        common = ["--no-defaults", f"--datadir={data}"]
        run(
            [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
            nobody=is_root,
            cwd=folder,
        )
        welcome = folder / "welcome.sql"
        welcome.write_text(
            f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
            "CREATE DATABASE home;\n",
            encoding="utf-8",
        )
        server = DatabaseServer("mysql", "127.0.0.1", port, connect=_connect, home="home")
        argv = [
            *(server_program, *common, f"--port={port}", "--bind-address=127.0.0.1"),
            *(f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}"),
            *("--skip-name-resolve", f"--init-file={welcome}", "--character-set-server=utf8mb4"),
            "--default-time-zone=+05:30",  # a customer's server need not be in UTC
            # 2: what was committed outlives the process, if not the machine
            *("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"),
            *(f"--{name}={value}" for name, value in (settings or {}).items()),
        ]
        if tls is not None:
            _write(tls, folder)
            argv += [f"--ssl-cert={folder / 'tls.crt'}", f"--ssl-key={folder / 'tls.key'}"]
        else:
            argv += ["--skip-ssl"]
        daemon = Daemon(argv, nobody=is_root, folder=folder, answers=partial(_answers, server))
        with running(daemon, stop=signal.SIGKILL):
            yield replace(
                server,
                stop=partial(daemon.stop, signal.SIGKILL),
                start=daemon.start,
                present=partial(_present, server, folder),
            )


def _present(server: DatabaseServer, folder: Path, certificate: Certificate) -> None:
    _write(certificate, folder)
    server.sql(server.config(server.home), "FLUSH SSL")


def _write(certificate: Certificate, folder: Path) -> None:
    (folder / "tls.crt").write_bytes(certificate.certificate)
    (folder / "tls.key").write_bytes(certificate.key)
    if os.geteuid() == 0:  # the server is nobody then
        os.chown(folder / "tls.key", NOBODY, NOBODY)


def _connect(config: dict[str, Any]) -> Any:
    return mysql.connector.connect(
        **config, autocommit=True, charset="utf8mb4", collation="utf8mb4_general_ci"
    )


def _answers(server: DatabaseServer) -> bool:
    try:
        _connect(server.config(server.home)).close()
    except mysql.connector.Error:
        return False
    return True
