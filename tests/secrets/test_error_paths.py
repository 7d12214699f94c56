"""Every way in which a service refuses us, told without the credential that it refused."""

from __future__ import annotations

import io
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audio_processor.errors import AudioProcessorError, ConfigError, StoreUnavailable
from audio_processor.outcome import BackoffPolicy, Failed, RetryLater, decide
from audio_processor.secret import MASK
from audio_processor.storage import S3Options, open_store
from audio_processor.telemetry import configure_logging
from audio_processor.telemetry.logs import ROOT_NAMES
from database_manager import DatabaseManager
from tests.secrets.canaries import (
    PASSWORD,
    S3_SECRET,
    TOKEN,
    everything_logged,
    leaked,
    of_an_exception,
)
from tests.secrets.conftest import PROVIDER
from tests.servers.certificates import Authority
from tests.servers.daemon import free_port
from tests.servers.database import DatabaseServer
from tests.servers.flaky_proxy import Answer, flaky_proxy
from tests.servers.s3 import S3Server

# ── what a database can refuse ───────────────────────────────────────────────────────────

Config = dict[str, Any]


def wrong_password(_server: DatabaseServer, config: Config) -> Config:
    return config | {"password": PASSWORD}


def wrong_user(_server: DatabaseServer, config: Config) -> Config:
    return config | {"user": "nobody", "password": PASSWORD}


def nobody_listens(_server: DatabaseServer, config: Config) -> Config:
    return config | {"port": free_port(), "password": PASSWORD}


def no_such_host(_server: DatabaseServer, config: Config) -> Config:
    return config | {"host": "no-such-host.invalid", "password": PASSWORD}


def no_such_database(server: DatabaseServer, config: Config) -> Config:
    return in_name_of_the_canary(server, config) | {"database": "nosuch"}


def table_missing(server: DatabaseServer, config: Config) -> Config:
    return in_name_of_the_canary(server, config)


def certificate_of_a_stranger(server: DatabaseServer, config: Config) -> Config:
    server.present(Authority("a stranger's").certify())
    return in_name_of_the_canary(server, config) | {"tls": True}


def in_name_of_the_canary(server: DatabaseServer, config: Config) -> Config:
    """A user whose right password is the canary."""
    if server.db_type == "mysql":
        quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        server.sql(config, f"CREATE OR REPLACE USER 'canary'@'%' IDENTIFIED BY '{quoted}'")
        server.sql(config, "GRANT SELECT ON *.* TO 'canary'@'%'")
    else:
        quoted = PASSWORD.replace("'", "''").replace("%", "%%")
        if not server.sql(config, "SELECT 1 FROM pg_roles WHERE rolname = 'canary'"):
            server.sql(config, "CREATE ROLE canary LOGIN")
        # as a parameter, since the text has a % in it
        with server.connect(config) as connection:
            connection.cursor().execute("ALTER ROLE canary PASSWORD %s", (PASSWORD,))
    return config | {"user": "canary", "password": PASSWORD}


DATABASE_REFUSALS = [
    wrong_password,
    wrong_user,
    nobody_listens,
    no_such_host,
    no_such_database,
    table_missing,
    certificate_of_a_stranger,
]


@pytest.mark.parametrize("refusal", DATABASE_REFUSALS, ids=lambda refusal: refusal.__name__)
def test_a_database_that_refuses(
    tls_server: DatabaseServer, refusal: Callable[[DatabaseServer, Config], Config], ca_file: Path
) -> None:
    config = refusal(tls_server, tls_server.config(tls_server.home))
    if config.get("tls"):
        config["tls_ca_file"] = str(ca_file)
    try:
        with everything_logged() as logged:
            queue = DatabaseManager(config, tls_server.db_type, connect_timeout_s=3)
            with pytest.raises(AudioProcessorError) as refused:
                queue.claim("worker")
            logging.getLogger("audio_processor").error("said", exc_info=refused.value)
            queue.close()
    finally:
        tls_server.present(PROVIDER.certify())
    assert "MySQL at" in str(refused.value) or "PostgreSQL at" in str(refused.value)
    no_secret_in(refused.value, logged.stream.getvalue())


def no_secret_in(error: AudioProcessorError, logged: str) -> None:
    """Nor in the row that the error becomes."""
    for where, text in of_an_exception(error):
        assert leaked(text) == [], where
    assert leaked(logged) == []
    for attempt in (1, 99):
        outcome = decide(
            error,
            attempt=attempt,
            max_attempts=6,
            backoff=BackoffPolicy(1, 1),
            stopping=False,
            jitter=lambda: 0.5,
        )
        assert isinstance(outcome, RetryLater | Failed)
        assert leaked(f"{outcome.error_code} {outcome.error_message}") == []


# ── what a store can refuse ──────────────────────────────────────────────────────────────


@pytest.fixture
def options(s3_server: S3Server) -> S3Options:
    return S3Options(
        s3_server.make_bucket(),
        endpoint_url=s3_server.endpoint_url,
        region=s3_server.region,
        access_key_id=s3_server.access_key,
        secret_access_key=S3_SECRET,
        addressing_style="path",
        max_attempts=2,
        backoff_s=0.01,
        connect_timeout_s=3,
        read_timeout_s=3,
    )


@contextmanager
def tls_of_a_stranger() -> Iterator[str]:
    """A server that is not whom it says it is."""
    certificate = Authority("a stranger's").certify()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with socket.create_server(("127.0.0.1", 0)) as listener, _pem(certificate) as path:
        context.load_cert_chain(path)

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(client, server_side=True).close()
                except OSError:
                    client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _pem(certificate: Any) -> Iterator[Path]:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(certificate.certificate + certificate.key)
        file.flush()
        yield Path(file.name)


AS_AMAZON_WOULD = f"""<Error><Code>InvalidToken</Code><Message>The token is malformed</Message>
<Token-0>{TOKEN}</Token-0><CanonicalRequest>x-amz-security-token:{TOKEN}</CanonicalRequest></Error>
"""


@contextmanager
def refused_by_swift(options: S3Options) -> Iterator[S3Options]:
    yield options


@contextmanager
def unknown_key(options: S3Options) -> Iterator[S3Options]:
    yield replace(options, access_key_id="AKIANOBODY")


@contextmanager
def token_refused(options: S3Options) -> Iterator[S3Options]:
    """With all that Amazon tells in the answer's body."""
    with flaky_proxy(str(options.endpoint_url)) as proxy:
        body = AS_AMAZON_WOULD.encode()
        proxy.weather = lambda _: Answer(400, body, {"Content-Type": "application/xml"})
        yield replace(options, endpoint_url=proxy.url, session_token=TOKEN)


@contextmanager
def nobody_at_the_endpoint(options: S3Options) -> Iterator[S3Options]:
    yield replace(options, endpoint_url=f"http://127.0.0.1:{free_port()}", session_token=TOKEN)


@contextmanager
def no_endpoint_of_that_name(options: S3Options) -> Iterator[S3Options]:
    yield replace(options, endpoint_url="https://no-such-host.invalid", session_token=TOKEN)


@contextmanager
def a_stranger_at_the_endpoint(options: S3Options) -> Iterator[S3Options]:
    with tls_of_a_stranger() as url:
        yield replace(options, endpoint_url=url, session_token=TOKEN)


@contextmanager
def no_s3_at_the_endpoint(options: S3Options) -> Iterator[S3Options]:
    with flaky_proxy(str(options.endpoint_url)) as proxy:
        proxy.weather = lambda _: Answer(200, b"<html>hello</html>", {"Content-Type": "text/html"})
        yield replace(options, endpoint_url=proxy.url, session_token=TOKEN)


STORE_REFUSALS = [
    refused_by_swift,
    unknown_key,
    token_refused,
    nobody_at_the_endpoint,
    no_endpoint_of_that_name,
    a_stranger_at_the_endpoint,
    no_s3_at_the_endpoint,
]
Refusal = Callable[[S3Options], Any]
CALLS: dict[str, Callable[[Any, Path], object]] = {
    "ping": lambda store, _: store.ping(),
    "upload": lambda store, path: store.upload(path, "tracks/a.wav", content_type="audio/wav"),
    "delete": lambda store, _: store.delete("tracks/a.wav"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("refusal", STORE_REFUSALS, ids=lambda refusal: refusal.__name__)
def test_a_store_that_refuses(
    options: S3Options,
    refusal: Refusal,
    call: Callable[[Any, Path], object],
    tmp_path: Path,
) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(b"some bytes")
    # SECURITY.md says it: a host that turns botocore's own logs to DEBUG has the token in them
    with refusal(options) as refused_options, everything_logged("botocore", "urllib3") as logged:
        store = open_store(refused_options)
        try:
            call(store, source)
        except StoreUnavailable as error:
            logging.getLogger("audio_processor").error("said", exc_info=error)
            no_secret_in(error, logged.stream.getvalue())
        else:
            assert refusal is no_s3_at_the_endpoint, "all others are refused"
    assert leaked(logged.stream.getvalue()) == []


def test_a_region_that_is_none_is_told_without_the_secret(options: S3Options) -> None:
    with pytest.raises(ConfigError) as refused:
        open_store(replace(options, endpoint_url=None, region="no region", session_token=TOKEN))
    no_secret = [leaked(text) for _, text in of_an_exception(refused.value)]
    assert not any(no_secret)


# ── our own logs, with every library as talkative as it can be ───────────────────────────


TALKATIVE = ("botocore", "urllib3", "boto3", "sqlalchemy", "sqlalchemy.pool", "mysql")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """A place to log to; what ``configure_logging`` changes is put back afterwards."""
    import sys

    root = logging.getLogger()
    names = {*ROOT_NAMES, *TALKATIVE}
    before = [logging.getLogger(name).level for name in names]
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in zip(names, before, strict=True):
        logging.getLogger(name).setLevel(old)
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
    logging.captureWarnings(False)


@pytest.mark.parametrize("format_", ["json", "console"])
def test_our_logs_mask_what_libraries_say_at_debug(
    format_: Any, stream: io.StringIO, options: S3Options, tls_server: DatabaseServer
) -> None:
    # the token is not among the secrets that logs are told of: it could be the machine's role's
    configure_logging(format_, "DEBUG", secrets=[PASSWORD, S3_SECRET], stream=stream)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG)
    with token_refused(options) as refused, pytest.raises(StoreUnavailable):
        open_store(refused).write(b"x", "tracks/a.wav", content_type="audio/wav")
    config = in_name_of_the_canary(tls_server, tls_server.config(tls_server.home))
    queue = DatabaseManager(config, tls_server.db_type)
    queue.ping()
    with pytest.raises(AudioProcessorError):
        queue.claim("worker")
    queue.close()
    said = stream.getvalue()
    assert "security-token" in said.lower(), "botocore told of it"
    assert MASK in said
    assert "sqlalchemy" in said
    assert leaked(said) == []
