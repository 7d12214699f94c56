"""Conditional writes: as far as the server has them.

``If-None-Match: *`` (only where there is nothing) is understood by Amazon S3, MinIO, Ceph, R2
and Swift; ``If-Match`` (only over this version) by all of these but Swift, which answers
NotImplemented: there the version is deleted on the condition that it is still the one, and the
new object made on the condition that there is none. A server that takes no condition at all is
written to without.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from audio_processor.errors import ObjectChanged
from audio_processor.ports import Over
from audio_processor.storage.s3_calls import S3Calls
from audio_processor.storage.s3_errors import code_of
from audio_processor.storage.s3_read import etag_of

Send = Callable[[dict[str, Any]], None]
"""Sends the request with these parameters added: one attempt."""

_NOTHING = {"IfNoneMatch": "*"}
log = logging.getLogger(__name__)


class _NotTaken(Exception):
    """The server does not know the condition."""


def write_over(calls: S3Calls, operation: str, key: str, over: Over | None, send: Send) -> None:
    """Have the object written if ``over`` holds. Raises ``ObjectChanged`` where it does not."""
    if over is None or not calls.knows_conditions:
        calls.run(operation, key, lambda: send({}))
        return
    if over.version is not None:
        if _written_over(calls, operation, key, over.version, send):
            return
        delete(calls, key, over.version)
    try:
        calls.run(operation, key, lambda: _asked(send, _NOTHING))
    except _NotTaken:
        calls.knows_conditions = False
        log.warning("%s takes no conditional writes", calls.endpoint)
        calls.run(operation, key, lambda: send({}))


def _written_over(calls: S3Calls, operation: str, key: str, version: str, send: Send) -> bool:
    """Write over that version; False where the server cannot be asked for it."""
    if calls.knows_versions:
        try:
            calls.run(operation, key, lambda: _asked(send, {"IfMatch": version}))
        except _NotTaken:
            calls.knows_versions = False
    return calls.knows_versions


def _asked_to(attempt: Callable[..., None], version: str) -> None:
    with _not_taken():
        attempt(IfMatch=version)


def _asked(send: Send, condition: dict[str, Any]) -> None:
    with _not_taken():
        send(condition)


def delete(calls: S3Calls, key: str, version: str | None = None) -> None:
    """Delete the object, or the version if it is still there: raises ``ObjectChanged`` if not."""

    def attempt(**condition: str) -> None:
        try:
            calls.client.delete_object(Bucket=calls.options.bucket, Key=key, **condition)
        except ClientError as error:
            if code_of(error) != "NoSuchKey":  # AWS says nothing of it, others do
                raise

    if version is None or not calls.knows_conditions:
        calls.run("DeleteObject", key, attempt)
        return
    try:
        calls.run("ConditionalDelete", key, lambda: _asked_to(attempt, version))
    except _NotTaken:
        calls.run("DeleteObject", key, attempt)
    except ObjectChanged:
        # Swift compares an object made of parts by another tag than the one it tells of
        if etag_of(calls, key) != version:
            raise
        calls.run("DeleteObject", key, attempt)


@contextlib.contextmanager
def _not_taken() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) == "NotImplemented":
            raise _NotTaken from error
        raise
