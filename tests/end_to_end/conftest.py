"""One processor per back end, empty, and a short real track."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_processor import AudioProcessor, Settings
from audio_processor.demo import render_demo
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server

BACK_ENDS = ("embedded", "postgresql+s3", "mariadb+s3")


@pytest.fixture(scope="session")
def demo_track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 s of music: three segments, the last a short one."""
    return render_demo(tmp_path_factory.mktemp("demo") / "demo.wav", duration_s=22.0)


def embedded_settings(folder: Path) -> Settings:
    """The embedded default, below ``folder``."""
    return Settings.model_validate(
        {
            "database": {"path": folder / "queue.db"},
            "storage": {"folder": folder / "store"},
            "scratch": {"folder": folder / "scratch"},
        }
    )


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[AudioProcessor]:
    with AudioProcessor(None, None, settings=embedded_settings(tmp_path)) as processor:
        yield processor


@pytest.fixture(params=BACK_ENDS)
def processor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AudioProcessor]:
    """The processor on each back end, its table made by ``migrate``."""
    if request.param == "embedded":
        yield request.getfixturevalue("embedded")
        return
    kind = request.param.partition("+")[0]
    database: DatabaseServer = request.getfixturevalue(
        "postgres_server" if kind == "postgresql" else "mariadb_server"
    )
    s3: S3Server = request.getfixturevalue("s3_server")
    settings = Settings.model_validate(
        {
            "storage": s3.settings(s3.make_bucket()),
            "scratch": {"folder": tmp_path / "scratch"},
        }
    )
    bucket, config = settings.storage.bucket, database.fresh_database()
    with AudioProcessor(bucket, config, database.db_type, settings=settings) as on_services:
        on_services.queue.migrate()
        yield on_services
