"""Where a value comes from, and which source wins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from audio_processor.errors import ConfigError
from audio_processor.settings import Settings, load, load_settings, with_overrides

S3: dict[str, Any] = {"storage.kind": "s3", "storage.bucket": "b"}
MYSQL: dict[str, Any] = {
    "database.type": "mysql", "database.host": "h", "database.user": "u", "database.name": "n",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_with_no_configuration_at_all_it_is_sqlite_and_a_folder() -> None:
    settings = load_settings(environ={})
    assert settings.database.type == "sqlite"
    assert settings.database.path == Path("data/audio-processor.db")
    assert settings.storage.kind == "folder"
    assert settings.storage.folder == Path("data/store")
    assert settings.scratch_folder() == Path.cwd() / "data/scratch"
    assert settings.worker.concurrency >= 1


def test_each_source_wins_over_the_ones_before_it(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[storage]\nregion = "from-file"\n')
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    environ = {"AWS_DEFAULT_REGION": "from-aws-default"}

    def region(path: Path | None = None, overrides: dict[str, Any] | None = None) -> str | None:
        return load_settings(path, overrides=overrides, environ=environ).storage.region

    assert load_settings(environ={}).storage.region is None
    assert region() == "from-aws-default"
    environ["AWS_REGION"] = "from-aws"
    assert region() == "from-aws"
    assert region(file) == "from-file"
    (secrets / "AUDIO_PROCESSOR__STORAGE__REGION").write_text("from-secret\n")
    environ["AUDIO_PROCESSOR_SECRETS_DIR"] = str(secrets)
    assert region(file) == "from-secret"
    environ["AUDIO_PROCESSOR__STORAGE__REGION"] = "from-environment"
    assert region(file) == "from-environment"
    assert region(file, {"storage": {"region": "from-code"}}) == "from-code"
    assert region(file, {"storage.region": "from-code"}) == "from-code"


def test_the_file_is_found_by_argument_then_variable_then_name(tmp_path: Path) -> None:
    for name in ("argument", "variable", "audio-processor"):
        (tmp_path / f"{name}.toml").write_text(f'[database]\npath = "{name}.db"\n')
    environ = {"AUDIO_PROCESSOR_CONFIG": "variable.toml"}
    argument = Path("argument.toml")
    assert load_settings(argument, environ=environ).database.path == Path("argument.db")
    assert load_settings(environ=environ).database.path == Path("variable.db")
    assert load_settings(environ={}).database.path == Path("audio-processor.db")


def test_variables_reach_nested_tables_and_lists() -> None:
    settings = load_settings(
        environ={
            "AUDIO_PROCESSOR__STORAGE__CACHE_CONTROL__M4A": "no-store",
            "AUDIO_PROCESSOR__LADDER__TIERS": (
                '[{"name": "only", "bit_rate": 96000, "sample_rate_hz": 44100}]'
            ),
            "AUDIO_PROCESSOR__LIMITS__ACCEPT_TRUNCATED": "true",
            "AUDIO_PROCESSOR__WORKER__LEASE_S": "120",
            "AUDIO_PROCESSOR__DATABASE__HOST": "",  # empty: as if it were not there
        }
    )
    assert settings.storage.cache_control.m4a == "no-store"
    assert [tier.name for tier in settings.tiers()] == ["only"]
    assert settings.limits.accept_truncated is True
    assert settings.worker.lease_s == 120
    assert settings.database.host is None


def test_variables_that_kubernetes_makes_for_a_service_of_our_name_are_no_mistake() -> None:
    environ = {
        "AUDIO_PROCESSOR_PORT": "tcp://10.0.0.1:8080", "AUDIO_PROCESSOR_SERVICE_HOST": "10.0.0.1",
        "AUDIO_PROCESSOR_PORT_8080_TCP_ADDR": "10.0.0.1",
    }  # fmt: skip
    assert load_settings(environ=environ) == load_settings(environ={})


def test_a_mounted_secret_fills_what_its_files_are_named_for(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    (folder / "..2024_01").mkdir(parents=True)
    (folder / "AWS_SECRET_ACCESS_KEY").write_text("s3-secret\n")
    (folder / "audio_processor__database__password").write_text("db secret \n")
    (folder / "tls.crt").write_text("another's business")
    settings = load_settings(
        overrides=S3 | MYSQL,
        environ={"AUDIO_PROCESSOR_SECRETS_DIR": str(folder), "AWS_ACCESS_KEY_ID": "id"},
    )
    assert settings.storage.secret_access_key == SecretStr("s3-secret")
    assert settings.database.password == SecretStr("db secret ")
    assert sorted(settings.secrets()) == ["db secret ", "s3-secret"]


def test_a_pointer_is_read_and_gives_way_to_a_later_secret(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("from the file\n")
    (tmp_path / "c.toml").write_text(
        '[database]\ntype = "mysql"\nhost = "h"\nuser = "u"\nname = "n"\npassword_file = "pw"\n'
    )
    path = tmp_path / "c.toml"
    assert load_settings(path, environ={}).database.password == SecretStr("from the file")
    environ = {"AUDIO_PROCESSOR__DATABASE__PASSWORD": "later"}
    database = load_settings(path, environ=environ).database
    assert database.password == SecretStr("later")
    assert database.password_file is None


def test_project_keys_win_over_plain_aws_ones_and_a_foreign_token_falls_with_its_key() -> None:
    aws = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "SA", "AWS_SESSION_TOKEN": "TA"}
    plain = load_settings(overrides=S3, environ=aws).storage
    assert (plain.access_key_id, plain.session_token) == ("A", SecretStr("TA"))
    own = {
        "AUDIO_PROCESSOR__STORAGE__ACCESS_KEY_ID": "P",
        "AUDIO_PROCESSOR__STORAGE__SECRET_ACCESS_KEY": "SP",
    }
    ours = load_settings(overrides=S3, environ=aws | own).storage
    assert ours.access_key_id == "P"
    assert ours.secret_access_key == SecretStr("SP")
    assert ours.session_token is None


def test_the_origin_of_each_given_value_is_known(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[worker]\nlease_s = 100\n")
    environ = {"AWS_REGION": "r", "AUDIO_PROCESSOR__LOGGING__LEVEL": "debug"}
    loaded = load(tmp_path / "c.toml", environ=environ)
    assert loaded.settings.logging.level == "DEBUG"
    assert loaded.origins == {
        "storage.region": "AWS_REGION",
        "worker.lease_s": "c.toml",
        "logging.level": "the environment (AUDIO_PROCESSOR__LOGGING__LEVEL)",
    }


def test_building_settings_directly_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_PROCESSOR__LOGGING__LEVEL", "ERROR")
    monkeypatch.setenv("LOGGING", '{"level": "ERROR"}')
    assert Settings().logging.level == "INFO"


def test_overrides_change_only_what_they_name_and_hold_all_rules() -> None:
    before = load_settings(overrides=MYSQL | {"database.password": "hunter2"}, environ={})
    after = with_overrides(before, S3 | {"ladder": {"segment_duration_s": 6}})
    assert after.database == before.database
    assert after.ladder.segment_duration_s == 6
    assert after.storage.bucket == "b"
    assert before.storage.bucket is None
    with pytest.raises(ConfigError, match=r"storage\.failed_prefix = 'tracks/x/' in the overrides"):
        with_overrides(after, {"storage.failed_prefix": "tracks/x/"})
    with pytest.raises(ConfigError, match=r"did you mean 'storage\.bucket'"):
        with_overrides(after, {"storage.buckett": "c"})


def test_an_override_replaces_a_pointed_to_secret_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("from the file")
    pointed = load_settings(overrides=MYSQL | {"database.password_file": "pw"}, environ={})
    direct = with_overrides(pointed, {"database.password": "given"})
    assert direct.database.password == SecretStr("given")
    assert direct.database.password_file is None
    assert with_overrides(direct, {"database.password_file": "pw"}) == pointed


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.worker.lease_s = 1
    with pytest.raises(ValidationError):
        settings.worker = settings.worker


def test_no_repr_and_no_redacted_form_shows_a_secret() -> None:
    secrets = {"database.password": "hunter2", "storage.session_token": "tok-en"}
    keys = {"storage.access_key_id": "id", "storage.secret_access_key": "s3cr3t"}
    settings = load_settings(overrides=S3 | MYSQL | secrets | keys, environ={})
    for text in (repr(settings), str(settings), str(settings.redacted())):
        assert not any(secret in text for secret in ("hunter2", "tok-en", "s3cr3t"))
    assert settings.redacted()["database"]["password"] == "**********"


def test_importing_settings_imports_nothing_heavy() -> None:
    heavy = ["numpy", "numba", "scipy", "boto3", "botocore", "sqlalchemy", "rich", "typer"]
    code = f"import sys, audio_processor.settings; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_a_missing_file_is_an_error_even_if_only_a_variable_names_it() -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read: No such file"):
        load_settings(environ={"AUDIO_PROCESSOR_CONFIG": "gone.toml"})
