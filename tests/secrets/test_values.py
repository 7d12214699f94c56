"""Whatever holds a secret does not show it, however it is asked."""

from __future__ import annotations

import copy
import io
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from audio_processor import AudioProcessor, Settings, load_settings
from audio_processor.cli import app
from audio_processor.display import settings_table
from audio_processor.secret import MASK, Secret
from audio_processor.settings import load
from audio_processor.storage import S3Options, open_store
from audio_processor.wiring import build_line, open_queue, worker_options
from database_manager import DatabaseManager
from tests.secrets.canaries import PASSWORD, S3_SECRET, TOKEN, anything, leaked
from uploads_queue.place import read_config

DB_CONFIG = {
    "host": "db.example.net",
    "user": "audio",
    "password": PASSWORD,
    "database": "music",
    "port": 5432,
}
PLAIN: dict[str, Any] = {
    "database": {"type": "postgresql", "host": "db.example.net", "user": "audio", "name": "music"},
    "storage": {"kind": "s3", "bucket": "music", "access_key_id": "AKIAEXAMPLE"},
}


# ── each way in which settings are given ─────────────────────────────────────────────────


def by_environment(_folder: Path) -> tuple[Path | None, dict[str, str]]:
    return None, {
        **plain_environment(),
        "AUDIO_PROCESSOR__DATABASE__PASSWORD": PASSWORD,
        "AUDIO_PROCESSOR__STORAGE__SECRET_ACCESS_KEY": S3_SECRET,
        "AUDIO_PROCESSOR__STORAGE__SESSION_TOKEN": TOKEN,
    }


def by_plain_aws_variables(_folder: Path) -> tuple[Path | None, dict[str, str]]:
    environment = plain_environment()
    del environment["AUDIO_PROCESSOR__STORAGE__ACCESS_KEY_ID"]
    return None, {
        **environment,
        "AUDIO_PROCESSOR__DATABASE__PASSWORD": PASSWORD,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
    }


def by_toml(folder: Path) -> tuple[Path | None, dict[str, str]]:
    path = folder / "config.toml"
    secrets = {"secret_access_key": S3_SECRET, "session_token": TOKEN}
    tables = {
        "database": PLAIN["database"] | {"password": PASSWORD},
        "storage": PLAIN["storage"] | secrets,
    }
    path.write_text(
        "".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(one)}\n" for key, one in table.items())
            for name, table in tables.items()
        )
    )
    return path, {}


def by_pointers(folder: Path) -> tuple[Path | None, dict[str, str]]:
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "secret").write_text(S3_SECRET + "\n")
    return None, {
        **plain_environment(),
        "AUDIO_PROCESSOR__DATABASE__PASSWORD_FILE": str(folder / "password"),
        "AUDIO_PROCESSOR__STORAGE__SECRET_ACCESS_KEY_FILE": str(folder / "secret"),
        "AUDIO_PROCESSOR__STORAGE__SESSION_TOKEN": TOKEN,
    }


def by_mounted_secrets(folder: Path) -> tuple[Path | None, dict[str, str]]:
    mounted = folder / "mounted"
    mounted.mkdir()
    (mounted / "AUDIO_PROCESSOR__DATABASE__PASSWORD").write_text(PASSWORD)
    (mounted / "AWS_SECRET_ACCESS_KEY").write_text(S3_SECRET)
    (mounted / "AWS_SESSION_TOKEN").write_text(TOKEN)
    (mounted / "AWS_ACCESS_KEY_ID").write_text("AKIAEXAMPLE")
    environment = plain_environment()
    del environment["AUDIO_PROCESSOR__STORAGE__ACCESS_KEY_ID"]
    return None, {**environment, "AUDIO_PROCESSOR_SECRETS_DIR": str(mounted)}


def plain_environment() -> dict[str, str]:
    return {
        f"AUDIO_PROCESSOR__{group.upper()}__{key.upper()}": value
        for group, table in PLAIN.items()
        for key, value in table.items()
    }


Source = Callable[[Path], tuple[Path | None, dict[str, str]]]
SOURCES = [by_environment, by_plain_aws_variables, by_toml, by_pointers, by_mounted_secrets]


@pytest.fixture(params=SOURCES, ids=lambda source: source.__name__)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path | None, dict[str, str]]:
    given: Source = request.param
    return given(tmp_path)


def test_settings_show_no_secret_wherever_it_came_from(
    source: tuple[Path | None, dict[str, str]],
) -> None:
    path, environ = source
    loaded = load(path, environ=environ)
    settings = loaded.settings
    assert sorted(settings.secrets()) == sorted((PASSWORD, S3_SECRET, TOKEN)), "they are there"
    console = Console(width=300, file=io.StringIO())
    with console.capture() as captured:
        console.print(settings_table(settings.redacted(), loaded.origins))
    table = captured.get()
    assert table.count(MASK) == 3
    found = anything(
        settings=settings,
        database=settings.database,
        storage=settings.storage,
        copied=copy.deepcopy(settings),
        redacted=settings.redacted(),
        origins=loaded.origins,
        table=table,
    )
    assert found == {}


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_check_config_shows_no_secret(
    source: tuple[Path | None, dict[str, str]], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, environ = source
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    config = [] if path is None else ["--config", str(path)]
    done = CliRunner().invoke(app, ["check-config", *config, *options])
    assert done.exit_code == 0, done.output
    assert leaked(done.output) == []
    assert done.output.count(MASK) == 3


# ── what is made of them ─────────────────────────────────────────────────────────────────


def settings() -> Settings:
    return load_settings(
        overrides={
            **{f"{group}.{k}": v for group, table in PLAIN.items() for k, v in table.items()},
            "database.password": PASSWORD,
            "storage.region": "eu-central-1",
            "storage.secret_access_key": S3_SECRET,
            "storage.session_token": TOKEN,
        },
        environ={},
    )


def test_a_processor_and_its_parts_show_no_secret(tmp_path: Path) -> None:
    made = settings()
    made = made.model_copy(update={"scratch": made.scratch.model_copy(update={"folder": tmp_path})})
    with AudioProcessor("music", DB_CONFIG, "postgresql", settings=made) as processor:
        line = build_line(made, processor.store, processor.queue)
        found = anything(
            processor=processor,
            queue=processor.queue,
            store=processor.store,
            line=line,
            options=worker_options(made),
            engine=processor.queue._engine,
            pool=processor.queue._engine.pool,
            url=processor.queue._engine.url,
            calls=processor.store._calls,  # type: ignore[attr-defined]  # the adapter's own
        )
        line.scratch.close()
    assert found == {}


@pytest.mark.parametrize("db_type", ["postgresql", "mysql"])
def test_what_the_adapters_are_opened_with_shows_no_secret(db_type: str) -> None:
    options = S3Options(
        "music",
        region="eu-central-1",
        access_key_id="AKIAEXAMPLE",
        secret_access_key=S3_SECRET,
        session_token=TOKEN,
    )
    place = read_config(DB_CONFIG, db_type)
    found = anything(
        options=options,
        store=open_store(options),
        place=place,
        text=str(place),
        queue=DatabaseManager(DB_CONFIG, db_type),
        from_settings=open_queue(settings(), None, "mysql"),
    )
    assert found == {}
    assert leaked(place.hide_secret(f"refused: {PASSWORD}")) == []


def test_a_secret_gives_itself_up_to_reveal_alone() -> None:
    secret = Secret(PASSWORD)
    assert secret.reveal() == PASSWORD
    assert (repr(secret), str(secret), f"{secret}", f"{secret!r}") == (MASK,) * 4
    assert secret == Secret(PASSWORD) and hash(secret) == hash(Secret(PASSWORD))
    assert secret != Secret("another") and secret != PASSWORD
    assert copy.deepcopy(secret) == secret and copy.copy(secret) == secret
    assert secret and not Secret("")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_settings_with_a_secret_are_not_pickled_and_those_without_are() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(settings())
    plain = load_settings(environ={})
    assert pickle.loads(pickle.dumps(plain)) == plain


def test_every_secret_of_the_settings_is_known_to_be_one() -> None:
    """A key that is named like a secret is one, and is among those that logs are told to mask."""
    from audio_processor.settings.keys import keys

    named = {
        name
        for name in keys()
        if re.search(r"password|secret|token|credential|passphrase", name)
        and not name.endswith("_file")
    }
    assert named == {name for name, key in keys().items() if key.is_secret}
    assert len(settings().secrets()) == len(named)


def test_a_new_sqlite_file_is_for_its_user_alone(tmp_path: Path) -> None:
    database = tmp_path / "queue.db"
    queue = DatabaseManager({"database": str(database)}, "sqlite")
    queue.insert("u", "song.wav")
    made = sorted(tmp_path.glob("queue.db*"))
    assert database in made
    assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o600"] * len(made)
    queue.close()
    database.chmod(0o640)  # to be shared with a group
    queue.insert("v", "other.wav")
    assert database.stat().st_mode & 0o777 == 0o640, "and stays as its owner left it"
    queue.close()
