"""TLS to the databases: what is sent is not to be read, and only the right server is spoken to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from audio_processor import AudioProcessor, load_settings
from audio_processor.errors import AudioProcessorError, ConfigError
from database_manager import DatabaseManager
from tests.secrets.conftest import PROVIDER
from tests.servers.certificates import Authority
from tests.servers.database import DatabaseServer
from tests.servers.wiretap import tapped

FILE_NAME = "a name that would be read on the line.wav"
STRANGER = Authority("a stranger's")


@pytest.fixture
def server(tls_server: DatabaseServer) -> DatabaseServer:
    return tls_server


@contextmanager
def opened(server: DatabaseServer, config: dict[str, Any]) -> Iterator[DatabaseManager]:
    queue = DatabaseManager(config, server.db_type, connect_timeout_s=5)
    try:
        yield queue
    finally:
        queue.close()


def refusal(server: DatabaseServer, **tls: Any) -> str:
    """What is said when the queue will not speak to the server."""
    config = server.config(server.home) | tls
    with opened(server, config) as queue, pytest.raises(AudioProcessorError) as refused:
        queue.ping()
    assert isinstance(refused.value, ConfigError), "it is for a person to mend"
    return str(refused.value)


def test_with_tls_nothing_can_be_read_on_the_line(server: DatabaseServer, ca_file: Path) -> None:
    config = server.fresh_database()
    with tapped(server.host, server.port) as tap:
        _say_in_the_clear(server, config | {"port": tap.port})
        assert FILE_NAME.encode() in tap.heard, "the tap hears"

    encrypted = config | _only_with_tls(server, config) | {"tls": True, "tls_ca_file": str(ca_file)}
    with (
        tapped(server.host, server.port) as tap,
        opened(server, encrypted | {"port": tap.port}) as queue,
    ):
        queue.migrate()
        assert queue.insert("u", FILE_NAME)
        claim = queue.claim("w")
        assert claim is not None and claim.file_name == FILE_NAME
        if server.db_type == "postgresql":
            assert _told_by_postgresql(server, config) == {True}
        assert len(tap.heard) > 1000
        for word in (FILE_NAME, "uploads", "Uploads"):
            assert word.encode() not in tap.heard


def _say_in_the_clear(server: DatabaseServer, config: dict[str, Any]) -> None:
    """By the plain driver: our own connections are encrypted wherever the server offers it."""
    import mysql.connector
    import psycopg2

    if server.db_type == "mysql":
        connection = mysql.connector.connect(**config, ssl_disabled=True)
    else:
        connection = psycopg2.connect(dbname=config.pop("database"), sslmode="disable", **config)
    cursor = connection.cursor()
    cursor.execute(f"SELECT '{FILE_NAME}'")
    cursor.fetchall()
    connection.close()


def _only_with_tls(server: DatabaseServer, config: dict[str, Any]) -> dict[str, Any]:
    """A login that the server itself takes over TLS alone, where it has such a thing."""
    if server.db_type == "postgresql":
        return {}
    user = {"user": "secure", "password": "x"}
    server.sql(
        config,
        "CREATE OR REPLACE USER 'secure'@'%' IDENTIFIED BY 'x' REQUIRE SSL",
        f"GRANT ALL ON {config['database']}.* TO 'secure'@'%'",
    )
    with pytest.raises(Exception, match="Access denied"):
        _say_in_the_clear(server, config | user)
    return user


def _told_by_postgresql(server: DatabaseServer, config: dict[str, Any]) -> set[bool]:
    """Whether our connections are encrypted, by the server's own account."""
    rows = server.sql(
        config,
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
        " WHERE application_name = 'audio-processor'",
    )
    return {ssl for (ssl,) in rows}


def test_the_settings_lead_to_it(server: DatabaseServer, ca_file: Path, tmp_path: Path) -> None:
    config = server.config(server.home)
    settings = load_settings(
        overrides={
            "database": {
                "type": server.db_type,
                "host": config["host"],
                "port": config["port"],
                "user": config["user"],
                "password": config["password"],
                "name": config["database"],
                "tls": True,
                "tls_ca_file": str(ca_file),
            },
            "storage.folder": str(tmp_path / "store"),
        },
        environ={},
    )
    with AudioProcessor.from_settings(settings) as processor:
        processor.queue.ping()


def test_the_machines_own_authorities_are_trusted_by_default(
    server: DatabaseServer, ca_file: Path
) -> None:
    """In a process of its own, whose machine trusts the provider (or does not)."""
    config = server.config(server.home) | {"tls": True}
    code = (
        f"from database_manager import DatabaseManager as D; D({config}, {server.db_type!r}).ping()"
    )
    for trusted, fine in ((ca_file, True), (STRANGER.write(ca_file.with_name("x.pem")), False)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "SSL_CERT_FILE": str(trusted), "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is fine, done.stderr[-500:]
        assert fine or "the encrypted connection could not be made" in done.stderr


def wrong_authority(server: DatabaseServer) -> None:
    server.present(STRANGER.certify())


def wrong_name(server: DatabaseServer) -> None:
    server.present(PROVIDER.certify(["another.example.net"]))


def expired(server: DatabaseServer) -> None:
    server.present(PROVIDER.certify(expired=True))


@pytest.mark.parametrize("shown", [wrong_authority, wrong_name, expired])
def test_a_server_that_cannot_prove_who_it_is_is_refused(
    server: DatabaseServer, ca_file: Path, shown: Callable[[DatabaseServer], None]
) -> None:
    shown(server)
    try:
        said = refusal(server, tls=True, tls_ca_file=str(ca_file))
        assert "the encrypted connection could not be made; check the TLS settings" in said
        # unless that was asked for, and then it is still encrypted
        unverified = server.config(server.home) | {"tls": True, "tls_verify": False}
        with opened(server, unverified) as queue:
            queue.ping()
    finally:
        server.present(PROVIDER.certify())


@pytest.mark.parametrize("name", ["postgres_server", "mariadb_server"])
@pytest.mark.parametrize("verify", [True, False])
def test_a_server_without_tls_is_refused(
    request: pytest.FixtureRequest, name: str, verify: bool, ca_file: Path
) -> None:
    plain: DatabaseServer = request.getfixturevalue(name)
    said = refusal(plain, tls=True, tls_verify=verify, tls_ca_file=str(ca_file))
    assert "the encrypted connection could not be made" in said


def test_a_missing_ca_file_is_no_reason_to_trust_anybody(
    server: DatabaseServer, tmp_path: Path
) -> None:
    with (
        opened(
            server, server.config(server.home) | {"tls_ca_file": str(tmp_path / "gone.pem")}
        ) as queue,
        pytest.raises(AudioProcessorError),
    ):
        queue.ping()
