"""Servers as an operator who has read SECURITY.md would set them up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_processor.demo import render_demo
from tests.servers.certificates import Authority
from tests.servers.database import DatabaseServer
from tests.servers.mariadb import running_mariadb
from tests.servers.postgres import running_postgres

PROVIDER = Authority("the provider's")


@pytest.fixture(scope="session", params=["postgresql", "mariadb"])
def tls_server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A server that offers TLS; whoever has it show another certificate puts that right again."""
    running = running_postgres if request.param == "postgresql" else running_mariadb
    with running(PROVIDER.certify()) as started:
        yield started


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    """What a client of such a server is to trust."""
    return PROVIDER.write(tmp_path / "ca.pem")


@pytest.fixture(scope="session")
def short_track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of music."""
    return render_demo(tmp_path_factory.mktemp("music") / "song.wav", duration_s=12.0)
