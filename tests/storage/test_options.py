"""Options are checked when made, and keep their secrets."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from audio_processor.errors import ConfigError
from audio_processor.storage import S3Options

KEYS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "canary-secret"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"bucket": ""}, "bucket"),
        ({"bucket": "a/b"}, "bucket"),
        ({"access_key_id": "A"}, "secret_access_key"),
        ({"secret_access_key": "canary-secret"}, "access_key_id"),
        ({"session_token": "canary-token"}, "session_token"),
        ({"sse_kms_key_id": "k"}, "sse_kms_key_id"),
        ({"sse_kms_key_id": "k", "sse": "AES256"}, "sse_kms_key_id"),
        ({"part_size_bytes": 1024}, "part_size_bytes"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"read_timeout_s": 0.0}, "read_timeout_s"),
        ({"endpoint_url": "minio:9000"}, "endpoint_url"),
        ({"endpoint_url": "ftp://minio"}, "endpoint_url"),
        ({"endpoint_url": "https://"}, "endpoint_url"),
        ({"endpoint_url": "http://[::1"}, "endpoint_url"),
        ({"endpoint_url": "https://user:canary-secret@minio"}, "endpoint_url"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        S3Options(**({"bucket": "bucket"} | wrong))
    assert "canary" not in str(caught.value)


def test_no_secret_in_the_repr() -> None:
    options = S3Options("bucket", **KEYS, session_token="canary-token")  # type: ignore[arg-type]  # str values
    assert "AKIAEXAMPLE" in repr(options)
    assert "canary" not in repr(options)


def test_boto3_is_imported_only_when_a_bucket_is_opened() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from audio_processor.storage import FolderOptions, S3Options, open_store\n"
        "open_store(FolderOptions(Path('.'), create=False))\n"
        "S3Options('bucket')\n"
        "heavy = {'boto3', 'botocore', 'urllib3', 'tenacity'} & set(sys.modules)\n"
        "print(sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
