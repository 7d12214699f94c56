"""What is wrong with a configuration is told without the secrets in it, or beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_processor import AudioProcessor, load_settings
from audio_processor.delivery.validate_sources import HttpSource
from audio_processor.errors import AudioProcessorError, ConfigError
from audio_processor.storage import S3Options, open_store
from database_manager import DatabaseManager
from tests.secrets.canaries import PASSWORD, S3_SECRET, TOKEN, leaked, of_an_exception

SERVER = {"type": "mysql", "host": "h", "user": "u", "name": "n"}
BUCKET = {"kind": "s3", "bucket": "b", "access_key_id": "AKIAEXAMPLE"}
SIMPLE = "Canary1db"
"""A password that a URL takes as it is."""


def nothing_told(error: BaseException) -> None:
    for where, text in of_an_exception(error):
        assert leaked(text) == [], where


MISTAKES: dict[str, dict[str, Any]] = {
    "a bad value beside the password": {
        "database": SERVER | {"password": PASSWORD, "port": 99_999}
    },
    "a password that is a number's list": {"database": SERVER | {"password": [PASSWORD]}},
    "a password that is a table": {"database": SERVER | {"password": {"value": PASSWORD}}},
    "a misspelt password": {"database": SERVER | {"passwrod": PASSWORD}},
    "a password in a table that is none": {"database": SERVER | {"login": {"password": PASSWORD}}},
    "a password twice": {"database": SERVER | {"password": PASSWORD, "password_file": "/x"}},
    "a password for sqlite": {"database": {"password": PASSWORD}},
    "a whole address as the host": {"database": SERVER | {"host": f"u:{PASSWORD}@h"}},
    "an address as the database": {"database": SERVER | {"name": f"mysql://u:{PASSWORD}@h/n"}},
    "a secret without its key": {
        "storage": {"kind": "s3", "bucket": "b", "secret_access_key": S3_SECRET}
    },
    "a token without its key": {"storage": {"kind": "s3", "bucket": "b", "session_token": TOKEN}},
    "a secret beside a bad prefix": {
        "storage": BUCKET | {"secret_access_key": S3_SECRET, "raw_prefix": "/"}
    },
    "a secret that is a list": {"storage": BUCKET | {"secret_access_key": [S3_SECRET]}},
}
ADDRESSES = {
    "user and password": f"https://u:{SIMPLE}@h",
    "a password with a slash": f"https://u:{SIMPLE}/x@h",
    "a password with a port's look": f"https://u:{SIMPLE}",
    "a password with an at sign": f"https://u:{SIMPLE}@x@h",
    "a user that is the password": f"https://{SIMPLE}@h",
    "a query": f"https://h/?X-Amz-Security-Token={SIMPLE}",
    "a fragment": f"https://h/#{SIMPLE}",
    "another scheme": f"ftp://u:{SIMPLE}@h",
    "no scheme": f"u:{SIMPLE}@h",
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_settings(mistake: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(overrides=mistake, environ={})
    nothing_told(refused.value)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_as_the_command_line_tells_it(mistake: dict[str, Any], tmp_path: Path) -> None:
    import json

    def written(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k} = {written(v)}" for k, v in value.items()) + "}"
        return json.dumps(value)

    lines = [f"{group} = {written(table)}\n" for group, table in mistake.items()]
    (tmp_path / "config.toml").write_text("".join(lines))
    done = in_a_shell("check-config", "--config", "config.toml", folder=tmp_path)
    assert done.returncode == 2
    assert leaked(done.stdout + done.stderr) == []
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_with_a_password_in_it_is_neither_taken_nor_quoted(address: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(overrides={"storage": BUCKET | {"endpoint_url": address}}, environ={})
    nothing_told(refused.value)
    with pytest.raises(ConfigError) as refused:
        S3Options("bucket", endpoint_url=address)
    nothing_told(refused.value)


@pytest.mark.parametrize("address", [a for a in ADDRESSES.values() if "@" in a])
def test_an_address_to_be_validated_is_not_quoted_either(address: str) -> None:
    with pytest.raises(AudioProcessorError) as refused:
        HttpSource(address)
    nothing_told(refused.value)


@pytest.mark.parametrize(
    "address", [a for n, a in ADDRESSES.items() if n not in {"another scheme", "no scheme"}]
)
def test_the_endpoint_of_boto3s_own_configuration_is_looked_at_too(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    options = S3Options(
        "bucket", region="r", access_key_id="AKIAEXAMPLE", secret_access_key=S3_SECRET
    )
    with pytest.raises(ConfigError) as refused:
        open_store(options)
    nothing_told(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        f'[database]\npassword = "{SIMPLE}\n',
        f"[database]\npassword = {SIMPLE}\n",
        f'[database]\npassword = "{SIMPLE}"\npassword = "{SIMPLE}"\n',
        f'[database]\npassword = "\\{SIMPLE}"\n',
        f'database.password = "{SIMPLE}"\n[database]\n[database.password]\n',
    ],
    ids=["unclosed", "bare", "twice", "escape", "overwritten"],
)
def test_a_file_that_is_no_toml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_settings(path, environ={})
    nothing_told(refused.value)


@pytest.mark.parametrize("content", [b"\xff\xfe" + SIMPLE.encode(), SIMPLE.encode() * 200_000])
def test_a_secret_file_that_cannot_be_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    for environ in (
        {"AUDIO_PROCESSOR__DATABASE__PASSWORD_FILE": str(path)},
        {"AUDIO_PROCESSOR_SECRETS_DIR": str(mounted(tmp_path, content))},
    ):
        with pytest.raises(ConfigError) as refused:
            load_settings(environ=environ)
        nothing_told(refused.value)


def mounted(folder: Path, content: bytes) -> Path:
    secrets = folder / "mounted"
    secrets.mkdir(exist_ok=True)
    (secrets / "AUDIO_PROCESSOR__DATABASE__PASSWORD").write_bytes(content)
    return secrets


@pytest.mark.parametrize(
    "name",
    ["AUDIO_PROCESSOR_DATABASE__PASSWORD", "AUDIO_PROCESSOR__DATABASE__PASSWROD"],
    ids=["prefix", "key"],
)
def test_a_misspelt_variable(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(environ={name: PASSWORD})
    nothing_told(refused.value)
    assert "did you mean" in str(refused.value)


DB_CONFIGS: dict[str, Any] = {
    "an unknown key": {"host": "h", "user": "u", "database": "d", "passwd": PASSWORD},
    "a bad port": {"host": "h", "user": "u", "database": "d", "password": PASSWORD, "port": 0},
    "no host": {"user": "u", "database": "d", "password": PASSWORD},
    "no flag": {"host": "h", "user": "u", "database": "d", "password": PASSWORD, "tls": "yes"},
    "an address as the host": {"host": f"u:{PASSWORD}@h", "user": "u", "database": "d"},
    "an address as the database": {"host": "h", "user": "u", "database": f"mysql://u:{PASSWORD}@h"},
}


@pytest.mark.parametrize("config", DB_CONFIGS.values(), ids=DB_CONFIGS)
@pytest.mark.parametrize("db_type", ["mysql", "postgresql"])
def test_a_mistake_in_db_config(config: dict[str, Any], db_type: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        DatabaseManager(config, db_type)
    nothing_told(refused.value)
    with pytest.raises(ConfigError) as refused:
        AudioProcessor("bucket", config, db_type)
    nothing_told(refused.value)


@pytest.mark.parametrize("field", ["access_key_id", "secret_access_key", "session_token"])
@pytest.mark.parametrize("spoilt", ["\n", "\r\nx", "\0", "\x7f"])
def test_a_credential_with_a_line_break_is_refused_before_http_quotes_it(
    field: str, spoilt: str
) -> None:
    given = {"access_key_id": "A", "secret_access_key": S3_SECRET, "session_token": TOKEN}
    given[field] = f"{SIMPLE}{spoilt}"
    with pytest.raises(ConfigError, match=f"^{field}: ") as refused:
        S3Options("bucket", **given)  # type: ignore[arg-type]  # the texts among its fields
    nothing_told(refused.value)


def in_a_shell(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """The program as a process of its own, with this much of an environment."""
    return subprocess.run(
        [sys.executable, "-m", "audio_processor", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
