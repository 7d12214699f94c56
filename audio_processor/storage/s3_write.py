"""Objects stored, in one request or in parts, and copied on the server.

Every request that makes an object says how it is to lie in the bucket (encryption, storage
class); a copy inherits none of that.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from audio_processor.ports import ByteProgress, Over
from audio_processor.storage.files import os_errors_named, quoted
from audio_processor.storage.options import S3Options
from audio_processor.storage.s3_calls import S3Calls
from audio_processor.storage.s3_conditions import write_over
from audio_processor.storage.s3_errors import FOREIGN, code_of
from audio_processor.storage.s3_read import Facts, facts_of
from audio_processor.storage.s3_spans import FileSpan, Span, in_parallel, part_size_for, spans

Attributes = dict[str, Any]
"""An object's, as botocore's parameters."""
_ABORT_S = 10.0


def attributes(
    options: S3Options, content_type: str | None = None, cache_control: str | None = None
) -> Attributes:
    """Return what every object is stored with."""
    named = {
        "ContentType": content_type,
        "CacheControl": cache_control,
        "ServerSideEncryption": options.sse,
        "SSEKMSKeyId": options.sse_kms_key_id,
        "StorageClass": options.storage_class,
    }
    return {name: value for name, value in named.items() if value}


def put(
    calls: S3Calls,
    key: str,
    body: Callable[[], Any],
    having: Attributes,
    over: Over | None,
    progress: ByteProgress | None,
) -> None:
    """Store an object in one request; ``body`` gives a fresh one for each attempt."""

    def send(condition: Attributes) -> None:
        if progress:
            progress(0)
        calls.client.put_object(
            Bucket=calls.options.bucket, Key=key, Body=body(), **having, **condition
        )

    write_over(calls, "PutObject", key, over, send)


def upload(
    calls: S3Calls,
    source: Path,
    key: str,
    having: Attributes,
    over: Over | None,
    progress: ByteProgress | None,
) -> None:
    """Store a file, in parts where it is larger than one."""
    with os_errors_named(f"Cannot store {quoted(key)} from {source}"), _opened(source) as fd:
        size = os.fstat(fd).st_size
        part_size = part_size_for(size, calls.options.part_size_bytes)
        if size > part_size:
            _upload_in_parts(calls, fd, key, spans(size, part_size), having, over, progress)
            return
        put(calls, key, lambda: FileSpan(fd, Span(0, size)), having, over, progress)
        if progress:
            progress(size)


def copy(calls: S3Calls, source: str, target: str, facts: Facts) -> None:
    """Copy an object, its Content-Type, Cache-Control and metadata, but not its tags."""
    if facts.size > calls.options.single_copy_max_bytes:
        _copy_in_parts(calls, source, target, facts)
        return
    request = attributes(calls.options) | {
        "Bucket": calls.options.bucket,
        "Key": target,
        "CopySource": {"Bucket": calls.options.bucket, "Key": source},
    }

    def attempt() -> None:
        try:
            # copying the tags would take s3:GetObjectTagging, a fourth permission
            calls.client.copy_object(**request, TaggingDirective="REPLACE")
        except ClientError as error:
            if code_of(error) != "NotImplemented":
                raise
            calls.client.copy_object(**request)  # a server that knows no tags (R2)

    calls.run("CopyObject", target, attempt)


def _upload_in_parts(
    calls: S3Calls,
    fd: int,
    key: str,
    parts: Iterable[Span],
    having: Attributes,
    over: Over | None,
    progress: ByteProgress | None,
) -> None:
    supported = calls.options.checksum_mode == "when_supported"
    # named up front and with each part, or the server refuses the parts' own
    checksum = {"ChecksumAlgorithm": "CRC32"} if supported else {}

    def send(where: Attributes, span: Span) -> dict[str, str]:
        answer = calls.client.upload_part(Body=FileSpan(fd, span), **where, **checksum)
        return {name: answer[name] for name in ("ETag", "ChecksumCRC32") if name in answer}

    _in_parts(calls, key, parts, send, having | checksum, over, progress)


def _copy_in_parts(calls: S3Calls, source: str, target: str, facts: Facts) -> None:
    def send(where: Attributes, span: Span) -> dict[str, str]:
        answer = calls.client.upload_part_copy(
            CopySource={"Bucket": calls.options.bucket, "Key": source},
            CopySourceRange=span.header,
            CopySourceIfMatch=facts.etag,
            **where,
        )
        return {"ETag": answer["CopyPartResult"]["ETag"]}

    having = attributes(calls.options, facts.content_type, facts.cache_control)
    having |= {"Metadata": facts.metadata or {}}
    part_size = part_size_for(facts.size, calls.options.part_size_bytes)
    _in_parts(calls, target, spans(facts.size, part_size), send, having, None, None)


class _Part(NamedTuple):
    """A stored part, as CompleteMultipartUpload wants to be told of it."""

    number: int
    answer: dict[str, str]
    """ETag, and the checksum where one was sent."""


def _in_parts(
    calls: S3Calls,
    key: str,
    parts: Iterable[Span],
    send: Callable[[Attributes, Span], dict[str, str]],
    having: Attributes,
    over: Over | None,
    progress: ByteProgress | None,
) -> None:
    """Make one object of parts; ``send`` makes one attempt at one part.

    What fails is aborted, if the server lets us: s3:AbortMultipartUpload is a permission of
    its own, and where it is missing a lifecycle rule has to clear up.
    """
    target = {"Bucket": calls.options.bucket, "Key": key}
    created = calls.run(
        "CreateMultipartUpload",
        key,
        lambda: calls.client.create_multipart_upload(**target, **having),
    )
    upload = target | {"UploadId": created["UploadId"]}

    def task(number: int, span: Span) -> Callable[[threading.Event], tuple[int, _Part]]:
        where = upload | {"PartNumber": number}

        def run(stop: threading.Event) -> tuple[int, _Part]:
            answer = calls.run("UploadPart", key, lambda: send(where, span), stop)
            return span.length, _Part(number, answer)

        return run

    try:
        tasks = [task(number, span) for number, span in enumerate(parts, start=1)]
        done = sorted(in_parallel(tasks, calls.options.max_concurrency, progress))
        _complete(calls, upload, done, over, progress)
    except BaseException:
        _abort(calls, upload)
        raise


def _abort(calls: S3Calls, upload: dict[str, str]) -> None:
    """Have the parts deleted; a store that does not answer holds nobody up over that."""

    def ask() -> None:
        with contextlib.suppress(*FOREIGN):
            calls.client.abort_multipart_upload(**upload)

    thread = threading.Thread(target=ask, name="s3-abort", daemon=True)
    thread.start()
    thread.join(_ABORT_S)


def _complete(
    calls: S3Calls,
    upload: dict[str, str],
    parts: list[_Part],
    over: Over | None,
    progress: ByteProgress | None,
) -> None:
    listed = [{"PartNumber": part.number} | part.answer for part in parts]

    def send(condition: Attributes) -> None:
        if progress:
            progress(0)
        try:
            calls.client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": listed}, **condition
            )
        except ClientError as error:
            # an earlier attempt may have been carried out and only its answer lost
            if code_of(error) != "NoSuchUpload" or not _is_stored(calls, upload["Key"], parts):
                raise

    write_over(calls, "CompleteMultipartUpload", upload["Key"], over, send)


def _is_stored(calls: S3Calls, key: str, parts: list[_Part]) -> bool:
    """Whether the object under the key is made of these parts, by its ETag."""
    try:
        digests = b"".join(bytes.fromhex(part.answer["ETag"].strip('"')) for part in parts)
    except ValueError:
        return False
    expected = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    facts = facts_of(calls, key)
    return facts is not None and facts.etag.strip('"') == expected


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
