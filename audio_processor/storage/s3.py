"""A bucket as an object store.

Needs s3:GetObject, s3:PutObject and s3:DeleteObject on ``bucket/*`` and nothing else. There
is no HeadObject here: its answers have no body, so that a missing key, a missing bucket and a
wrong secret look alike; a read of one byte tells them apart. A missing key and a refused one look
alike even then: an object of our own, which is there for certain, tells which it was.
"""

from __future__ import annotations

from pathlib import Path

from audio_processor.errors import SourceMissing, StoreUnavailable
from audio_processor.ports import ByteProgress, Over
from audio_processor.storage.files import quoted
from audio_processor.storage.keys import checked_key
from audio_processor.storage.observed import Observe, unobserved
from audio_processor.storage.options import S3Options
from audio_processor.storage.s3_calls import S3Calls
from audio_processor.storage.s3_conditions import delete
from audio_processor.storage.s3_errors import was_refused
from audio_processor.storage.s3_read import download, etag_of, facts_of, ping, read_whole
from audio_processor.storage.s3_write import attributes, copy, put, upload


class S3Store:
    """``ports.ObjectStore`` over one bucket; safe to use from many threads."""

    def __init__(self, options: S3Options, observe: Observe = unobserved) -> None:
        self._options = options
        self._calls = S3Calls(options, observe)
        self._in_doubt = False
        """Whether a download was refused: perhaps there is nothing, perhaps we may not read."""

    def __repr__(self) -> str:
        return f"S3Store({self.describe()})"

    def describe(self) -> str:
        """Where this store is, for messages."""
        return f"s3://{self._options.bucket} at {self._calls.endpoint}"

    def ping(self) -> None:
        """Return if S3 answers a request for an object, whether it is there or not.

        Once a download was refused, only if it gives back what it has taken.
        """
        try:
            ping(self._calls, self._options.probe_key)
        except SourceMissing:
            if self._in_doubt:
                self._insist_on_reading()

    def _insist_on_reading(self) -> None:
        """Raise ``StoreUnavailable`` where an object that is there cannot be read."""
        key = self._options.probe_key
        self.write(b"", key, content_type="text/plain")
        try:
            ping(self._calls, key)
        except SourceMissing as error:
            raise StoreUnavailable(
                f"{self.describe()} took {quoted(key)} and does not give it back: the credentials "
                "lack s3:GetObject, or kms:Decrypt on the bucket's key."
            ) from error

    def size(self, key: str) -> int | None:
        """Bytes of the object, or None where there is none or we may not see it."""
        facts = facts_of(self._calls, checked_key(key))
        return None if facts is None else facts.size

    def version(self, key: str) -> str | None:
        """The ETag: of equal ones the content is equal."""
        return etag_of(self._calls, checked_key(key))

    def download(
        self, key: str, target: Path, *, max_bytes: int, progress: ByteProgress | None = None
    ) -> int:
        """Fetch the object in parts, all of one version of it."""
        try:
            return download(self._calls, checked_key(key), target, max_bytes, progress)
        except SourceMissing as error:
            self._in_doubt |= was_refused(error)
            raise

    def read(self, key: str, *, max_bytes: int) -> bytes:
        """Return a small object whole."""
        return read_whole(self._calls, checked_key(key), max_bytes)

    def upload(
        self,
        source: Path,
        key: str,
        *,
        content_type: str,
        cache_control: str | None = None,
        over: Over | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Store the file, in parts where it is larger than one."""
        having = attributes(self._options, content_type, cache_control)
        upload(self._calls, source, checked_key(key), having, over, progress)

    def write(
        self,
        data: bytes,
        key: str,
        *,
        content_type: str,
        cache_control: str | None = None,
        over: Over | None = None,
        progress: ByteProgress | None = None,
    ) -> None:
        """Store the bytes in one request."""
        having = attributes(self._options, content_type, cache_control)
        put(self._calls, checked_key(key), lambda: data, having, over, progress)
        if progress:
            progress(len(data))

    def move(self, source_key: str, target_key: str) -> None:
        """Copy on the server, look at the copy, and only then delete."""
        source, target = checked_key(source_key), checked_key(target_key)
        facts = facts_of(self._calls, source)
        if facts is None:
            if facts_of(self._calls, target) is None:
                raise SourceMissing(
                    f"Neither {quoted(source)} nor {quoted(target)} is in {self.describe()}, "
                    "or we may not read them."
                )
            return  # an earlier move got this far
        if source == target:
            return
        copy(self._calls, source, target, facts)
        copied = facts_of(self._calls, target)
        if copied is None or copied.size != facts.size:
            raise StoreUnavailable(
                f"The copy of {quoted(source)} to {quoted(target)} in {self.describe()} is not "
                "whole; the original is still there."
            )
        self.delete(source)

    def delete(self, key: str, *, version: str | None = None) -> None:
        """Delete the object, or only this version; deleting what is not there is fine."""
        delete(self._calls, checked_key(key), version)
