"""Every configuration and policy that the pages show is taken by what it is for."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from audio_processor import AudioProcessor, Settings
from audio_processor.demo import render_demo
from audio_processor.errors import ConfigError
from audio_processor.settings import load_settings
from tests.docs.pages import DOCS, README, Block, blocks, section

DEPLOY = DOCS / "deploy.md"
CONFIGURATIONS = blocks("toml", README, DEPLOY)
SECRETS = ("/run/secrets/db-password", "/run/secrets/s3-secret", "/run/secrets/gcs-hmac-secret")
THREE = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


def load(text: str, folder: Path) -> Settings:
    """The settings of a configuration whose secrets are where it says."""
    for mounted in SECRETS:
        secret = folder / Path(mounted).name
        secret.write_text("secret\n")
        text = text.replace(mounted, str(secret))
    assert tomllib.loads(text)
    config = folder / "audio-processor.toml"
    config.write_text(text)
    return load_settings(config, environ={})


def test_there_are_configurations_for_each_kind_of_place() -> None:
    assert len(CONFIGURATIONS) >= 4


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_a_configuration_is_accepted(block: Block, tmp_path: Path) -> None:
    settings = load(block.text, tmp_path)
    if settings.storage.kind == "s3":
        assert settings.storage.bucket == "my-bucket"
    with AudioProcessor.from_settings(settings) as processor:  # connects to nothing
        assert processor.settings == settings
    if "bucket =" in block.text:
        with pytest.raises(ConfigError, match=r"storage\.bucket"):
            load(block.text.replace("bucket =", "buket ="), tmp_path)


def test_a_store_can_be_opened_from_each(tmp_path: Path) -> None:
    """Which boto3 checks the addresses and the regions for; no request is sent."""
    for block in CONFIGURATIONS:
        settings = load(block.text, tmp_path)
        if settings.storage.kind == "s3":
            with AudioProcessor.from_settings(settings) as processor:
                assert "my-bucket" in processor.store.describe()


# ── policies ─────────────────────────────────────────────────────────────────────────────


def documents() -> dict[str, Any]:
    """The JSON of the deployment page, by its telling key."""
    found = {}
    for block in blocks("json", DEPLOY):
        document = json.loads(block.text)
        if "Statement" in document:
            [statement] = document["Statement"]
            key = "trust" if "Principal" in statement else "policy"
        else:
            [key] = document
        found[key] = document
    return found


def test_the_policy_grants_three_permissions_on_the_settings_own_prefixes() -> None:
    [statement] = documents()["policy"]["Statement"]
    assert statement["Effect"] == "Allow" and statement["Action"] == THREE
    storage = Settings().storage
    prefixes = (storage.raw_prefix, storage.processed_prefix, storage.failed_prefix)
    assert statement["Resource"] == [f"arn:aws:s3:::my-bucket/{prefix}*" for prefix in prefixes]


def test_the_trust_policy_is_for_one_service_account() -> None:
    [statement] = documents()["trust"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    issuer = statement["Principal"]["Federated"].partition("oidc-provider/")[2]
    [condition] = statement["Condition"].values()
    assert set(condition) == {f"{issuer}:aud", f"{issuer}:sub"}


@pytest.mark.parametrize(
    ("operation", "parameter", "key"),
    [
        ("PutBucketLifecycleConfiguration", "LifecycleConfiguration", "Rules"),
        ("PutBucketCors", "CORSConfiguration", "CORSRules"),
    ],
)
def test_what_amazon_is_given_has_its_form(operation: str, parameter: str, key: str) -> None:
    model = botocore.session.get_session().get_service_model("s3").operation_model(operation)
    given = {"Bucket": "my-bucket", parameter: documents()[key]}
    report = ParamValidator().validate(given, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    assert ParamValidator().validate(given | {parameter: {"x": 1}}, model.input_shape).has_errors()


# ── what is said of caches and rows ──────────────────────────────────────────────────────


def test_the_cache_controls_are_the_settings_own() -> None:
    table = section(DEPLOY, "Amazon: S3 and RDS")
    control = Settings().storage.cache_control
    for value in (control.segment, control.playlist, control.metadata, control.m4a):
        assert f"`{value}`" in table


def test_completed_tracks_are_processed_again_by_the_statement(tmp_path: Path) -> None:
    """On SQLite; the statement has nothing that another server reads otherwise."""
    import sqlite3

    [statement] = [b.text for b in blocks("sql", DEPLOY) if b.text.startswith("UPDATE Uploads")]
    settings = load_settings(
        overrides={
            "database.path": tmp_path / "queue.db",
            "storage.folder": tmp_path / "store",
            "scratch.folder": tmp_path / "scratch",
        },
        environ={},
    )
    track = render_demo(tmp_path / "song.wav", duration_s=12.0)
    with AudioProcessor.from_settings(settings) as processor:
        upload_id = processor.enqueue(track)
        assert processor.process_pending_tracks() == (1, 0)
        first = processor.find(upload_id)
        with sqlite3.connect(tmp_path / "queue.db") as connection:
            assert connection.execute(statement).rowcount == 0, "it is of today"
            connection.execute("UPDATE Uploads SET uploaded_at = '2026-10-31 12:00:00'")
            assert connection.execute(statement).rowcount == 1
        assert processor.process_pending_tracks() == (1, 0)
        again = processor.find(upload_id)
    assert again.status == "completed" and again.attempts == 1
    assert again.summary is not None and again.completed_at != first.completed_at


def test_what_migrate_adds_is_told(tmp_path: Path) -> None:
    """Names of columns and indexes, on a table as customers have it."""
    import sqlite3

    from database_manager import DatabaseManager

    def names(connection: sqlite3.Connection) -> set[str]:
        columns = connection.execute("SELECT name FROM pragma_table_info('Uploads')")
        indexes = connection.execute(
            "SELECT name FROM pragma_index_list('Uploads') WHERE name NOT LIKE 'sqlite_%'"
        )
        return {row[0] for row in [*columns, *indexes]}

    [theirs] = [b.text for b in blocks("sql", README) if "CREATE TABLE Uploads" in b.text]
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute(theirs)
        before = names(connection)
        DatabaseManager({"database": str(tmp_path / "x.db")}, "sqlite").migrate()
        added = names(connection) - before
    told = section(DEPLOY, "Your existing table").partition("It adds\n")[2].partition("one-row")[0]
    assert set(re.findall(r"`(\w+)`", told)) == added
    assert len(added) == 12 + 5
