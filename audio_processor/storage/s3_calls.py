"""The client, and the one place where an S3 request is repeated and its errors translated."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import boto3.session
import tenacity
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from audio_processor import called_off
from audio_processor.errors import ConfigError
from audio_processor.storage.files import quoted
from audio_processor.storage.observed import Observe, unobserved
from audio_processor.storage.options import S3Options, check_endpoint, revealed
from audio_processor.storage.s3_errors import (
    FOREIGN,
    code_of,
    counted,
    forget_credentials,
    is_transient,
    translated,
)

T = TypeVar("T")
log = logging.getLogger(__name__)

OPERATIONS = {
    "GetObject": "get",
    "PutObject": "put",
    "CopyObject": "copy",
    "DeleteObject": "delete",
    "ConditionalDelete": "delete",
    "CreateMultipartUpload": "multipart",
    "UploadPart": "multipart",
    "CompleteMultipartUpload": "multipart",
}
"""What a request is counted as."""
CONNECTIONS = 32
"""Kept open for reuse; more may be open at once."""


class S3Calls:
    """A client of one bucket whose every call is bounded in time and in attempts."""

    def __init__(self, options: S3Options, observe: Observe = unobserved) -> None:
        self.options = options
        self._observe = observe
        self.client = _client(options)
        self.endpoint = str(self.client.meta.endpoint_url)
        # where we name none, boto3 takes AWS_ENDPOINT_URL or its own configuration file's
        check_endpoint(self.endpoint, "the endpoint of boto3's own configuration")
        self.knows_versions = True
        """Whether the server takes ``If-Match`` on a write; False once it has refused."""
        self.knows_conditions = True
        """Whether it takes any condition."""

    def run(
        self,
        operation: str,
        key: str,
        attempt: Callable[[], T],
        stop: threading.Event | None = None,
    ) -> T:
        """Return what ``attempt`` returns, called again while its failure is transient.

        ``operation`` is S3's name of it. No further attempt is made once ``stop`` is set, nor
        once the present job is called off: a drain waits for one request, not for all its tries.
        Raises what the job was called off with, or what ``s3_errors`` makes of the last failure.
        """
        options, job = self.options, called_off.present()

        def once() -> T:
            job.check()
            return self._observed(operation, attempt)

        def again(error: BaseException) -> bool:
            return is_transient(error) and not (stop is not None and stop.is_set())

        def tell(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            code = code_of(error) if error else ""
            log.info("S3 %s of %s: %s; trying again", operation, quoted(key), code)

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(options.max_attempts),
            # full jitter: many workers that fail at once must not come back at once
            wait=tenacity.wait_random_exponential(
                multiplier=options.backoff_s, max=options.backoff_max_s
            ),
            retry=tenacity.retry_if_exception(again),
            before_sleep=tell,
            sleep=job.rest,
            reraise=True,
        )
        try:
            return retrying(once)
        except FOREIGN as error:
            forget_credentials(error)
            job.check()  # before the failure: the attempt is to be refunded, not counted
            raise translated(error, operation, key, options, self.endpoint) from error

    def _observed(self, operation: str, attempt: Callable[[], T]) -> T:
        started = time.monotonic()
        error: str | None = None
        try:
            return attempt()
        except FOREIGN as failure:
            error = counted(operation, failure)
            raise
        finally:
            kind = OPERATIONS.get(operation, operation)
            self._observe(kind, time.monotonic() - started, error)


def _client(options: S3Options) -> Any:
    """A session of its own: boto3's default session is shared and not for threads."""
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": options.addressing_style},
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        tcp_keepalive=True,
        max_pool_connections=CONNECTIONS,
        # repeating is S3Calls.run's business alone
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation=options.checksum_mode,
        response_checksum_validation=options.checksum_mode,
    )
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=options.endpoint_url,
            region_name=options.region,
            aws_access_key_id=options.access_key_id,
            aws_secret_access_key=revealed(options.secret_access_key),
            aws_session_token=revealed(options.session_token),
            config=config,
        )
    except (BotoCoreError, ValueError) as error:
        # a profile that is not there, a region that is none, a broken ~/.aws/config
        raise ConfigError(f"No S3 client for bucket {options.bucket!r}: {error}") from error
