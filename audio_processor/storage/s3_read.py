"""Ranged reads: each a request of its own, repeated by itself, its length checked."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from audio_processor import called_off
from audio_processor.errors import LimitExceeded, SourceMissing, StoreUnavailable
from audio_processor.ports import ByteProgress
from audio_processor.storage.files import os_errors_named, quoted, whole_file, write_all
from audio_processor.storage.s3_calls import S3Calls
from audio_processor.storage.s3_errors import TruncatedBody, code_of
from audio_processor.storage.s3_spans import Span, in_parallel, spans

CHUNK_BYTES = 256 * 1024

Sink = Callable[[bytes, int], object]
"""Takes bytes and their offset in the object; a repeated part comes again."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store says of an object."""

    size: int
    etag: str
    content_type: str | None = None
    cache_control: str | None = None
    metadata: dict[str, str] | None = None


EMPTY = Facts(size=0, etag="")
_ONCE = threading.Event()
_ONCE.set()
"""Told to stop from the beginning: no second attempt."""


def facts_of(calls: S3Calls, key: str) -> Facts | None:
    """Return an object's facts, or None where there is none or we may not see it."""
    try:
        return read_span(calls, key, Span(0, 1), lambda *_: None)
    except SourceMissing:
        return None


def ping(calls: S3Calls, key: str) -> None:
    """Ask for an object once. Raises ``SourceMissing`` where there is none."""

    def attempt() -> None:
        try:
            response = calls.client.get_object(
                Bucket=calls.options.bucket, Key=key, Range=Span(0, 1).header
            )
        except ClientError as error:
            if code_of(error) == "InvalidRange":
                return  # it is there, and empty
            raise
        response["Body"].close()

    calls.run("GetObject", key, attempt, _ONCE)


def etag_of(calls: S3Calls, key: str) -> str | None:
    """Return an object's ETag, also an empty one's, or None as ``facts_of`` does."""
    facts = facts_of(calls, key)
    if facts is None:
        return None
    if facts.etag:
        return facts.etag

    def attempt() -> str:
        # no range fits an empty object
        response = calls.client.get_object(Bucket=calls.options.bucket, Key=key)
        with contextlib.closing(response["Body"]):
            return str(response.get("ETag", ""))

    try:
        return calls.run("GetObject", key, attempt)
    except SourceMissing:
        return None


def read_whole(calls: S3Calls, key: str, max_bytes: int) -> bytes:
    """Return a small object. Raises ``SourceMissing``, ``LimitExceeded``."""
    data = bytearray()

    def sink(chunk: bytes, offset: int) -> None:
        # from the offset on: a repeated attempt starts over
        data[offset:] = chunk

    read_span(calls, key, Span(0, max(1, max_bytes)), sink, max_bytes=max_bytes)
    return bytes(data)


def download(
    calls: S3Calls, key: str, target: Path, max_bytes: int, progress: ByteProgress | None
) -> int:
    """Fetch an object in parts, all of one version of it, and return its size."""
    part_size, workers = calls.options.part_size_bytes, calls.options.max_concurrency
    with (
        os_errors_named(f"Cannot fetch {quoted(key)} to {target}"),
        whole_file(target, partials=target.parent, durable=False) as fd,
    ):

        def sink(chunk: bytes, offset: int) -> None:
            write_all(fd, memoryview(chunk), offset)

        facts = read_span(calls, key, Span(0, part_size), sink, max_bytes=max_bytes)
        if progress:
            progress(min(part_size, facts.size))

        def part(span: Span) -> Callable[[threading.Event], tuple[int, None]]:
            def read(stop: threading.Event) -> tuple[int, None]:
                read_span(calls, key, span, sink, etag=facts.etag, stop=stop)
                return span.length, None

            return read

        rest = [part(span) for span in spans(facts.size, part_size, start=part_size)]
        for _ in in_parallel(rest, workers, progress):
            pass
        return facts.size


def read_span(
    calls: S3Calls,
    key: str,
    span: Span,
    sink: Sink,
    *,
    max_bytes: int | None = None,
    etag: str | None = None,
    stop: threading.Event | None = None,
) -> Facts:
    """Hand the span's bytes to ``sink`` and return the whole object's facts.

    A span that reaches beyond the end is cut there. With ``etag`` only that version is read.
    Raises ``SourceMissing``, and ``LimitExceeded`` before the first byte is read.
    """
    condition = {"IfMatch": etag} if etag else {}
    job = called_off.present()

    def attempt() -> Facts:
        try:
            response = calls.client.get_object(
                Bucket=calls.options.bucket, Key=key, Range=span.header, **condition
            )
        except ClientError as error:
            if code_of(error) == "InvalidRange" and span.start == 0:
                return EMPTY  # only there does no range fit
            raise
        with contextlib.closing(response["Body"]) as body:
            facts, length = _facts(response, span)
            if max_bytes is not None and facts.size > max_bytes:
                raise LimitExceeded(
                    f"{quoted(key)} is {facts.size} bytes, more than the {max_bytes} accepted. "
                    "Upload a smaller file."
                )
            received = 0
            while chunk := body.read(CHUNK_BYTES):
                if stop is not None and stop.is_set():
                    raise TruncatedBody
                job.check()
                sink(chunk, span.start + received)
                received += len(chunk)
        if received != length:
            raise TruncatedBody
        return facts

    return calls.run("GetObject", key, attempt, stop)


def _facts(response: dict[str, Any], span: Span) -> tuple[Facts, int]:
    """Return the facts and how many bytes are to come."""
    stated = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.get("ContentRange") or "")
    if stated:
        first, last, size = map(int, stated.groups())
        fits = first == span.start and last == min(span.start + span.length, size) - 1
    else:
        # some servers answer a range of an empty object with 200 and nothing
        first, last, size = 0, -1, 0
        fits = response.get("ContentLength") == 0
    if not fits:
        raise StoreUnavailable("The server, or a proxy before it, does not honour Range headers.")
    facts = Facts(
        size=size,
        etag=response.get("ETag", ""),
        content_type=response.get("ContentType"),
        cache_control=response.get("CacheControl"),
        metadata=response.get("Metadata"),
    )
    return facts, last - first + 1
