"""What is special to S3: headers, encryption, parts, refusals, and keeping secrets."""

from __future__ import annotations

import logging
import os
import socket
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audio_processor.errors import (
    AudioProcessorError,
    ConfigError,
    DiskFull,
    LimitExceeded,
    SourceMissing,
    StoreUnavailable,
)
from audio_processor.ports import ObjectStore
from audio_processor.storage import S3Options, open_store
from tests.servers.flaky_proxy import Answer, FlakyProxy, Seen, s3_error
from tests.servers.s3 import S3Server
from tests.storage.conftest import PART_BYTES

SECRET = "canary-wJalrXUtnFEMI"
TOKEN = "canary-session-token"

HLS: Any = {"content_type": "application/vnd.apple.mpegurl", "cache_control": "public, max-age=60"}


def head(server: S3Server, bucket: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = server.client().head_object(Bucket=bucket, Key=key)
    return found


def large_file(folder: Path, size: int = 2 * PART_BYTES + 1) -> Path:
    path = folder / "large"
    path.write_bytes(os.urandom(size))
    return path


# ── what an object is stored with ────────────────────────────────────────────────────────


def check_headers(server: S3Server, bucket: str, key: str) -> None:
    found = head(server, bucket, key)
    assert found["ContentType"] == "application/vnd.apple.mpegurl"
    assert found["CacheControl"] == "public, max-age=60"


def test_content_type_and_cache_control_are_kept_on_every_way(
    s3_server: S3Server, s3_options: S3Options, tmp_path: Path
) -> None:
    bucket = s3_options.bucket
    store = open_store(replace(s3_options, single_copy_max_bytes=PART_BYTES))
    store.write(b"#EXTM3U", "written", **HLS)
    store.upload(large_file(tmp_path, 10), "uploaded", **HLS)
    store.upload(large_file(tmp_path), "uploaded in parts", **HLS)
    for key in ("written", "uploaded", "uploaded in parts"):
        check_headers(s3_server, bucket, key)
    store.move("written", "moved")
    store.move("uploaded in parts", "moved in parts")
    for key in ("moved", "moved in parts"):
        check_headers(s3_server, bucket, key)


def test_an_object_over_copys_limit_is_moved_in_parts(
    s3_options: S3Options, proxy: FlakyProxy, tmp_path: Path
) -> None:
    store = open_store(replace(s3_options, single_copy_max_bytes=PART_BYTES))
    source = large_file(tmp_path)
    store.upload(source, "a ü", content_type="audio/wav")
    store.move("a ü", "b ü")
    copied_parts = [
        seen
        for seen in proxy.seen
        if "x-amz-copy-source-range" in seen.headers and "partNumber" in seen.query
    ]
    assert len(copied_parts) == 3
    assert store.size("a ü") is None
    store.download("b ü", tmp_path / "target", max_bytes=1 << 30)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def creating(seen: Seen) -> bool:
    """Whether a request makes an object (a part of one inherits)."""
    whole_put = seen.method == "PUT" and "partNumber" not in seen.query
    return whole_put or (seen.method == "POST" and "uploads" in seen.query)


def test_server_side_encryption_is_asked_for_and_done(
    s3_server: S3Server, s3_options: S3Options, proxy: FlakyProxy, tmp_path: Path
) -> None:
    store = open_store(replace(s3_options, sse="AES256", single_copy_max_bytes=PART_BYTES))
    store.write(b"x", "written", **HLS)
    store.upload(large_file(tmp_path), "in parts", **HLS)
    store.move("written", "moved")
    store.move("in parts", "moved in parts")
    created = [seen for seen in proxy.seen if creating(seen)]
    assert len(created) == 4
    assert {seen.headers.get("x-amz-server-side-encryption") for seen in created} == {"AES256"}
    assert head(s3_server, s3_options.bucket, "moved")["ServerSideEncryption"] == "AES256"


def test_kms_key_and_storage_class_go_with_every_object(
    s3_options: S3Options, proxy: FlakyProxy, tmp_path: Path
) -> None:
    store = open_store(
        replace(
            s3_options,
            sse="aws:kms",
            sse_kms_key_id="arn:aws:kms:eu-west-1:1:key/2",
            storage_class="STANDARD_IA",
        )
    )
    # the server under test has neither, so the proxy answers for it
    proxy.inject(Answer(200, headers={"ETag": '"e"'}), s3_error(400, "MalformedXML"), when=creating)
    store.write(b"x", "written", **HLS)
    with pytest.raises(StoreUnavailable):
        store.upload(large_file(tmp_path), "in parts", **HLS)
    created = [seen for seen in proxy.seen if creating(seen)]
    assert len(created) == 2
    for seen in created:
        assert seen.headers["x-amz-server-side-encryption"] == "aws:kms"
        key_id = seen.headers["x-amz-server-side-encryption-aws-kms-key-id"]
        assert key_id == "arn:aws:kms:eu-west-1:1:key/2"
        assert seen.headers["x-amz-storage-class"] == "STANDARD_IA"


def test_nothing_is_asked_for_that_was_not_set(
    s3_store: ObjectStore, proxy: FlakyProxy, tmp_path: Path
) -> None:
    s3_store.write(b"x", "written", content_type="audio/mp4")
    s3_store.upload(large_file(tmp_path), "in parts", content_type="audio/mp4")
    unwanted = (
        "x-amz-server-side",
        "x-amz-storage",
        "x-amz-checksum",
        "x-amz-sdk-checksum",
        "x-amz-trailer",
    )
    for seen in proxy.seen:
        assert not [name for name in seen.headers if name.startswith(unwanted)]
        assert "cache-control" not in seen.headers


def test_checksums_are_sent_where_they_are_wanted(
    s3_options: S3Options, proxy: FlakyProxy, tmp_path: Path
) -> None:
    store = open_store(replace(s3_options, checksum_mode="when_supported"))
    source = large_file(tmp_path)
    store.upload(source, "in parts", content_type="audio/mp4")
    sent = [seen for seen in proxy.seen if "partNumber" in seen.query]
    assert len(sent) == 3
    assert all("x-amz-checksum-crc32" in seen.headers for seen in sent)
    store.download("in parts", tmp_path / "target", max_bytes=1 << 30)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_a_server_that_knows_no_tags_can_still_move(
    s3_store: ObjectStore, proxy: FlakyProxy
) -> None:
    s3_store.write(b"x", "a", content_type="audio/mp4")
    proxy.inject(
        s3_error(501, "NotImplemented"), when=lambda seen: "x-amz-copy-source" in seen.headers
    )
    s3_store.move("a", "b")
    assert s3_store.read("b", max_bytes=1) == b"x"
    last = [seen for seen in proxy.seen if "x-amz-copy-source" in seen.headers][-1]
    assert "x-amz-tagging-directive" not in last.headers


def test_a_failed_upload_leaves_no_parts_behind(
    s3_server: S3Server, s3_options: S3Options, proxy: FlakyProxy, tmp_path: Path
) -> None:
    proxy.inject(
        s3_error(403, "AccessDenied"), when=lambda seen: seen.query.get("partNumber") == "2"
    )
    with pytest.raises(StoreUnavailable, match="may not do this"):
        open_store(s3_options).upload(large_file(tmp_path), "k", content_type="audio/mp4")
    left = s3_server.client().list_multipart_uploads(Bucket=s3_options.bucket)
    assert "Uploads" not in left


def test_a_refused_abort_does_not_hide_why_the_upload_failed(
    s3_store: ObjectStore, proxy: FlakyProxy, tmp_path: Path
) -> None:
    proxy.inject(s3_error(507, "XMinioStorageFull"), when=lambda seen: "partNumber" in seen.query)
    proxy.inject(s3_error(403, "AccessDenied"), when=lambda seen: seen.method == "DELETE")
    with pytest.raises(DiskFull, match="no room"):
        s3_store.upload(large_file(tmp_path), "k", content_type="audio/mp4")
    assert proxy.pending == 0


# ── refusals ─────────────────────────────────────────────────────────────────────────────


def operations(store: ObjectStore, tmp_path: Path) -> dict[str, Callable[[], object]]:
    """Every way to ask something of a store."""
    return {
        "size": lambda: store.size("k"),
        "read": lambda: store.read("k", max_bytes=9),
        "download": lambda: store.download("k", tmp_path / "t", max_bytes=9),
        "write": lambda: store.write(b"x", "k", content_type="audio/mp4"),
        "upload": lambda: store.upload(tmp_path / "large", "k", content_type="audio/mp4"),
        "move": lambda: store.move("k", "l"),
        "delete": lambda: store.delete("k"),
    }


OPERATIONS = ["size", "read", "download", "write", "upload", "move", "delete"]


def refusal(
    options: S3Options, operation: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> str:
    """Return the message of a refused operation, after looking for secrets all around it."""
    caplog.set_level(logging.INFO)
    large_file(tmp_path)
    store = open_store(options)
    with pytest.raises(StoreUnavailable) as caught:
        operations(store, tmp_path)[operation]()
    assert not (tmp_path / "t").exists()
    told = "".join(traceback.format_exception(caught.value))
    for text in (told, repr(store), store.describe(), repr(options), caplog.text):
        assert "canary" not in text
    return str(caught.value)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_wrong_secret_is_said_clearly(
    s3_options: S3Options, operation: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = replace(s3_options, secret_access_key=SECRET)
    message = refusal(options, operation, tmp_path, caplog)
    assert f"the secret does not belong to the access key {options.access_key_id}" in message
    assert options.bucket in message
    assert str(options.endpoint_url) in message


def test_an_unknown_access_key_is_said_clearly(
    s3_options: S3Options, proxy: FlakyProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Swift calls it a bad signature; AWS, MinIO and Ceph have a code of their own
    options = replace(s3_options, access_key_id="test:nobody", secret_access_key=SECRET)
    assert "test:nobody" in refusal(options, "size", tmp_path, caplog)
    proxy.inject(s3_error(403, "InvalidAccessKeyId"))
    message = refusal(options, "size", tmp_path, caplog)
    assert "does not know the access key test:nobody" in message


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (400, "ExpiredToken", "have expired"),
        (400, "InvalidToken", "session token does not belong"),
        (403, "RequestTimeTooSkewed", "clock"),
        (301, "PermanentRedirect", "another region"),
        (403, "InvalidObjectState", "archived"),
        (400, "KMS.DisabledException", "KMS key"),
        (400, "SomethingNew", "SomethingNew"),
    ],
)
def test_other_refusals_are_said_clearly(
    s3_options: S3Options,
    proxy: FlakyProxy,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    status: int,
    code: str,
    says: str,
) -> None:
    options = replace(s3_options, secret_access_key=SECRET, session_token=TOKEN)
    proxy.inject(s3_error(status, code), when=lambda seen: seen.method == "GET")
    assert says in refusal(options, "read", tmp_path, caplog)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_missing_bucket_is_named(
    s3_options: S3Options, operation: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = replace(s3_options, bucket="no-such-bucket")
    message = refusal(options, operation, tmp_path, caplog)
    assert "there is no bucket 'no-such-bucket'" in message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_server_that_is_not_there_is_given_up_on(
    s3_options: S3Options, operation: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        options = replace(s3_options, endpoint_url=url, secret_access_key=SECRET)
        message = refusal(options, operation, tmp_path, caplog)
    assert f"{url} cannot be reached" in message


def test_a_web_server_that_is_no_s3_is_not_taken_for_one(
    s3_store: ObjectStore, proxy: FlakyProxy
) -> None:
    page = Answer(200, b"<html>welcome</html>", {"Content-Type": "text/html", "ETag": '"e"'})
    proxy.inject(page, page)
    with pytest.raises(StoreUnavailable, match="Range"):
        s3_store.size("k")
    with pytest.raises(StoreUnavailable, match="Range"):
        s3_store.read("k", max_bytes=100)
    proxy.inject(Answer(404, b"<html>not here</html>", {"Content-Type": "text/html"}))
    with pytest.raises(StoreUnavailable, match="does not speak S3"):
        s3_store.size("k")


def test_without_list_bucket_a_missing_object_is_source_missing(
    s3_store: ObjectStore, proxy: FlakyProxy, tmp_path: Path
) -> None:
    """Where the policy has the three permissions only, AWS answers AccessDenied."""
    proxy.inject(*[s3_error(403, "AccessDenied")] * 5)
    assert s3_store.size("k") is None
    with pytest.raises(SourceMissing, match=r"no such object, or the access key .* may not read"):
        s3_store.read("k", max_bytes=1)
    with pytest.raises(SourceMissing, match="may not read"):
        s3_store.download("k", tmp_path / "t", max_bytes=1)
    with pytest.raises(SourceMissing, match="may not read"):
        s3_store.move("k", "l")
    assert proxy.pending == 0


def reading(seen: Seen) -> bool:
    return seen.method == "GET"


def test_a_ping_asks_once_and_a_refusal_is_an_answer(
    s3_store: ObjectStore, proxy: FlakyProxy
) -> None:
    proxy.inject(s3_error(403, "AccessDenied"), when=reading)
    s3_store.ping()
    assert [seen.method for seen in proxy.seen] == ["GET"]


def test_a_plain_missing_object_raises_no_doubt(
    s3_store: ObjectStore, proxy: FlakyProxy, tmp_path: Path
) -> None:
    with pytest.raises(SourceMissing):
        s3_store.download("k", tmp_path / "t", max_bytes=1)
    s3_store.ping()
    assert {seen.method for seen in proxy.seen} == {"GET"}


def test_after_a_refused_download_a_ping_tells_whether_anything_may_be_read(
    s3_options: S3Options, proxy: FlakyProxy, tmp_path: Path
) -> None:
    store = open_store(replace(s3_options, probe_key="ours/.probe"))
    proxy.weather = lambda seen: s3_error(403, "AccessDenied") if reading(seen) else None
    with pytest.raises(SourceMissing):
        store.download("k", tmp_path / "t", max_bytes=1)
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"'ours/\.probe'.*s3:GetObject"):
            store.ping()
    proxy.weather = lambda _: None
    before = len(proxy.seen)
    store.ping()
    store.ping()
    assert [seen.method for seen in proxy.seen[before:]] == ["GET", "GET"]


def test_a_missing_object_that_is_refused_leaves_a_probe_and_no_complaint(
    s3_store: ObjectStore, proxy: FlakyProxy, tmp_path: Path
) -> None:
    proxy.inject(*[s3_error(403, "AccessDenied")] * 2, when=reading)
    with pytest.raises(SourceMissing):
        s3_store.download("k", tmp_path / "t", max_bytes=1)
    s3_store.ping()
    s3_store.ping()
    assert [seen.method for seen in proxy.seen] == ["GET", "GET", "PUT", "GET", "GET"]


def test_a_refusal_that_names_the_encryption_key_is_no_missing_source(
    s3_store: ObjectStore, proxy: FlakyProxy, tmp_path: Path
) -> None:
    """Only what is there can be encrypted."""
    says = "User: arn:aws:iam::1:user/w is not authorized to perform: kms:Decrypt on the resource"
    xml = f"<Error><Code>AccessDenied</Code><Message>{says}</Message></Error>"
    proxy.inject(Answer(403, xml.encode(), {"Content-Type": "application/xml"}))
    with pytest.raises(StoreUnavailable, match="KMS key"):
        s3_store.download("k", tmp_path / "t", max_bytes=1)


def test_access_denied_on_a_write_is_no_missing_source(
    s3_store: ObjectStore, proxy: FlakyProxy
) -> None:
    proxy.inject(s3_error(403, "AccessDenied"), s3_error(413, "EntityTooLarge"))
    with pytest.raises(StoreUnavailable, match="may not do this in bucket"):
        s3_store.write(b"x", "k", content_type="audio/mp4")
    with pytest.raises(LimitExceeded):
        s3_store.write(b"x", "k", content_type="audio/mp4")


def test_no_credentials_at_all_is_said(
    s3_options: S3Options, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    store = open_store(replace(s3_options, access_key_id=None, secret_access_key=None))
    with pytest.raises(StoreUnavailable, match="no credentials: set an access key"):
        store.size("k")


def test_options_that_botocore_refuses_are_a_configuration_error(s3_options: S3Options) -> None:
    with pytest.raises(ConfigError, match=s3_options.bucket):
        open_store(replace(s3_options, region="not a region"))


def test_every_error_is_one_of_ours(
    s3_store: ObjectStore, proxy: FlakyProxy, tmp_path: Path
) -> None:
    """A server that speaks nonsense to every request."""
    large_file(tmp_path)
    for operation in OPERATIONS:
        proxy.inject(*[Answer(200, b"\x00<not xml", {"Content-Length": "9"})] * 20)
        try:
            operations(s3_store, tmp_path)[operation]()
        except AudioProcessorError:
            continue
        assert operation in {"write", "delete"}  # whose answer has nothing to read
