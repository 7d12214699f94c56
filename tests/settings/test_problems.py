"""Every mistake is named with its key, its value, its place and the way out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.errors import ConfigError
from audio_processor.settings import load_settings
from audio_processor.settings.keys import keys, nearest

SERVER = {"database.host": "h", "database.user": "u", "database.name": "n"}
S3 = {"storage.kind": "s3", "storage.bucket": "b"}
TIER = {"name": "low", "bit_rate": 48_000, "sample_rate_hz": 24_000}


def problem(overrides: dict[str, Any], environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        load_settings(overrides=overrides, environ=environ or {})
    return str(raised.value)


def test_every_problem_is_told_at_once_with_key_value_place_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        "[loudnes]\ntarget = -16\n"
        '[database]\ntype = "mysq"\npasswort = "hunter2"\n'
        '[storage]\nkind = "s3"\nendpoint_url = "https://me:hunter2@s3.example.net"\n'
        '[[ladder.tiers]]\nname = "lo"\nbitrate = 48000\nsample_rate_hz = 24000\n'
        "[worker]\nlease_s = 60\n"
    )
    with pytest.raises(ConfigError) as raised:
        load_settings(path, environ={"AUDIO_PROCESSOR__DATABASE__PORT": "99999"})
    assert str(raised.value).split("\n  - ") == [
        "8 problems with the configuration:",
        "unknown key 'loudnes.target' in config.toml: did you mean 'loudness.integrated_lufs'?",
        "unknown key 'database.passwort' in config.toml: did you mean 'database.password'?",
        "database.type = 'mysq' in config.toml: must be one of 'sqlite', 'mysql' or 'postgresql'",
        "database.port = '99999' in the environment (AUDIO_PROCESSOR__DATABASE__PORT): "
        "must be less than or equal to 65535",
        "storage.endpoint_url = 'https://**********@s3.example.net' in config.toml: "
        "must not contain credentials; they have keys of their own",
        "ladder.tiers[0].bit_rate in config.toml: is required",
        "unknown key 'ladder.tiers[0].bitrate' in config.toml: "
        "did you mean 'ladder.tiers[].bit_rate'?",
        "worker.heartbeat_s: must be less than half of worker.lease_s, 60: "
        "one late beat would lose the lease",
    ]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"storage.kind": "s3"}, "storage.bucket: is required where storage.kind is 's3'"),
        ({"storage.bucket": "b"}, "storage.bucket = 'b' in the overrides: is for S3"),
        (S3 | {"storage.sse_kms_key_id": "k"}, "has no effect without storage.sse = 'aws:kms'"),
        (S3 | {"storage.sse": "AES128"}, "must be one of 'none', 'AES256' or 'aws:kms'"),
        (S3 | {"storage.access_key_id": "k"}, "storage.secret_access_key: is required with"),
        (S3 | {"storage.secret_access_key": "k"}, "storage.access_key_id: is required with"),
        (S3 | {"storage.endpoint_url": "minio:9000"}, "must start with http:// or https://"),
        ({"database.host": "h"}, "set database.type to 'mysql' or 'postgresql', or remove it"),
        ({"database.tls": True}, "database.tls = True"),
        ({"database.type": "mysql"}, "database.host: is required where database.type is 'mysql'"),
        (SERVER | {"database.type": "postgresql", "database.user": ""}, "database.user = ''"),
        (SERVER | {"database.type": "mysql", "database.tls_ca_file": "ca"}, "database.tls = true"),
        ({"database": 3}, "'database' in the overrides is a table: name one of its keys"),
        ({"worker.lease_s": 59.9}, "worker.heartbeat_s: must be less than half of worker.lease_s"),
        ({"worker.backoff_cap_s": 1}, "worker.backoff_cap_s = 1"),
        ({"worker.concurrency": 0}, "must be greater than or equal to 1"),
        ({"worker.poll_interval_s": float("inf")}, "must be a finite number"),
        ({"loudness.integrated_lufs": float("nan")}, "loudness.integrated_lufs = nan"),
        ({"loudness.true_peak_dbtp": -0.5}, "must be at most loudness.delivered_true_peak_dbtp"),
        ({"limits.max_sample_rate_hz": 8000, "limits.min_sample_rate_hz": 9000}, "must be at most"),
        ({"ladder.tiers": []}, "must have one to 8 tables, not 0"),
        ({"ladder.tiers": [TIER, TIER]}, "'low' names 2 tiers"),
        ({"ladder.tiers": [TIER | {"name": "../up"}]}, "ladder.tiers[0].name = '../up'"),
        ({"ladder.tiers": [TIER | {"name": "low\n"}]}, "ladder.tiers[0].name"),
        ({"ladder.tiers": [TIER | {"sample_rate_hz": 24001}]}, "the nearest is 24000"),
        ({"ladder.tiers": [TIER | {"bit_rate": 300_000}]}, "AAC carries at most 288000 bit/s"),
        ({"ladder.tiers": [TIER | {"first_ceiling_dbtp": 0.0}]}, "ladder.tiers[0].first_ceiling"),
        ({"storage.raw_prefix": "tracks"}, "each followed by '/'"),
        ({"storage.raw_prefix": "/tracks/"}, "each followed by '/'"),
        ({"storage.raw_prefix": "a/../b/"}, "each followed by '/'"),
        ({"storage.raw_prefix": ""}, "each followed by '/'"),
        ({"storage.processed_prefix": "tracks/out/"}, "lies inside storage.raw_prefix"),
        ({"storage.failed_prefix": "tracks/"}, "keep them apart"),
        ({"storage.cache_control.m4a": "a\r\nX-Evil: 1"}, "must not contain control characters"),
        ({"wurst": 1}, "unknown key 'wurst' in the overrides; config.example.toml lists every key"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_the_way_out(overrides: dict[str, Any], says: str) -> None:
    assert says in problem(overrides)


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("loudnes.target", "loudness.integrated_lufs"),
        ("database.username", "database.user"),
        ("database.database", "database.name"),
        ("storage.endpoint", "storage.endpoint_url"),
        ("storage.max-concurrency", "storage.max_concurrency"),
        ("ladder.segment_duration", "ladder.segment_duration_s"),
        ("bucket", "storage.bucket"),
        ("storage.lease_s", "worker.lease_s"),
    ],
)
def test_the_nearest_right_name_is_offered(unknown: str, meant: str) -> None:
    assert nearest(unknown) == meant


@given(name=st.sampled_from(sorted(keys())), data=st.data())
def test_a_key_with_one_letter_missing_is_told_the_right_name(
    name: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(name) - 1).filter(lambda i: name[i] not in "._"))
    unknown = name[:at] + name[at + 1 :]
    if unknown not in keys():
        assert nearest(unknown) is not None


def test_an_unknown_keys_value_is_not_shown_for_it_may_be_a_secret() -> None:
    assert "hunter2" not in problem({"database.passwort": "hunter2"})


def test_a_secret_of_the_wrong_kind_is_masked() -> None:
    text = problem({"database.password": ["hunter2"]})
    assert "hunter2" not in text
    assert "database.password" in text
    text = problem({"database.password": 270_270})
    assert "270270" not in text
    assert "database.password = **********" in text


def test_a_variable_with_one_underscore_too_few_is_caught() -> None:
    text = problem({}, {"AUDIO_PROCESSOR_STORAGE__BUCKET": "b"})
    assert text == (
        "unknown environment variable AUDIO_PROCESSOR_STORAGE__BUCKET: "
        "did you mean AUDIO_PROCESSOR__STORAGE__BUCKET?"
    )


def test_an_unknown_variable_is_refused_by_name() -> None:
    text = problem({}, {"AUDIO_PROCESSOR__STORAGE__BUKET": "b"})
    assert "storage.buket" in text
    assert "AUDIO_PROCESSOR__STORAGE__BUKET" in text
    assert "did you mean 'storage.bucket'?" in text


def test_a_list_in_a_variable_must_be_json() -> None:
    text = problem({}, {"AUDIO_PROCESSOR__LADDER__TIERS": "low,high"})
    assert "ladder.tiers in the environment (AUDIO_PROCESSOR__LADDER__TIERS) must be a JSON" in text


def test_broken_toml_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[database]\ntype = sqlite\n")
    with pytest.raises(ConfigError, match=r"c\.toml is not valid TOML: .*line 2"):
        load_settings(path, environ={})


def test_a_pointer_to_nothing_is_one_problem(tmp_path: Path) -> None:
    missing = str(tmp_path / "gone")
    pointer = {"database.type": "mysql", "database.password_file": missing}
    text = problem(SERVER | pointer)
    assert text == (
        "database.password_file in the overrides: cannot be read: No such file or directory"
    )


def test_a_secret_and_its_pointer_in_one_place_contradict_each_other() -> None:
    both = {"database.type": "mysql", "database.password_file": "f", "database.password": "p"}
    assert "database.password and database.password_file are both set" in problem(SERVER | both)


def test_a_secrets_folder_that_is_not_there_is_an_error() -> None:
    text = problem({}, {"AUDIO_PROCESSOR_SECRETS_DIR": "/nowhere/at/all"})
    assert text == ("the secrets folder /nowhere/at/all: cannot be read: No such file or directory")
