"""What S3, botocore and the wire can say, and what each means here: one table.

Codes: Amazon S3 API Reference, *Error responses*; those of Ceph, MinIO and Swift beside them.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass

import botocore.exceptions as boto
import urllib3.exceptions
from botocore.parsers import ResponseParserError

from audio_processor.errors import (
    AudioProcessorError,
    DiskFull,
    LimitExceeded,
    ObjectChanged,
    SourceMissing,
    StoreUnavailable,
)
from audio_processor.storage.files import quoted
from audio_processor.storage.options import S3Options


class TruncatedBody(Exception):
    """The connection closed in good order before all of the object had come."""


FOREIGN = (
    boto.ClientError,
    boto.BotoCoreError,
    ResponseParserError,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    TruncatedBody,
)
"""Every class that a request or the reading of its answer can raise."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What becomes of a foreign error."""

    says: str
    """A sentence; ``{bucket}``, ``{endpoint}``, ``{region}`` and ``{key_id}`` are filled in."""
    kind: type[AudioProcessorError] = StoreUnavailable
    transient: bool = False
    """Whether the same request may fare better in a moment."""


_BUSY = Meaning("the server is busy or in trouble", transient=True)
_DAMAGED = Meaning("the data was damaged on the way", transient=True)
_NO_KEY = Meaning("the server does not know the access key {key_id}")
_EXPIRED = Meaning("the credentials of access key {key_id} have expired")
_REFUSED = Meaning("the access key {key_id} may not do this in bucket {bucket}")
_REGION = Meaning("bucket {bucket} is in another region than {region}; check region and endpoint")
_NOT_THERE = Meaning("there is no such object", SourceMissing)
_KMS = Meaning("the KMS key is missing, disabled or not for the access key {key_id}")
_NOT_SEEN = Meaning(
    "there is no such object, or the access key {key_id} may not read it "
    "(without s3:ListBucket the server does not say which)",
    SourceMissing,
)
_NO_ROOM = Meaning("the bucket has no room", DiskFull)
_NO_CREDENTIALS = Meaning(
    "no credentials: set an access key, or give boto3's own chain a way to find one"
)
_NOT_S3 = Meaning("what answered at {endpoint} does not speak S3; check endpoint_url")
_UNREACHABLE = Meaning("{endpoint} cannot be reached", transient=True)
_SLOW = Meaning("{endpoint} did not answer in time", transient=True)
_CUT = Meaning("the connection broke", transient=True)
_ARCHIVED = Meaning("the object is archived; restore it first")
_CLOCK = Meaning("this machine's clock and the server's differ too much")

_READ_CODES = {"AccessDenied": _NOT_SEEN, "NoSuchKey": _NOT_THERE}
"""What these codes mean as the answer to GetObject only."""

_CHANGED = Meaning("another writer was there first", ObjectChanged)
_WRITES = {"PutObject", "CompleteMultipartUpload", "ConditionalDelete"}
_WRITE_CODES = {"PreconditionFailed": _CHANGED, "NoSuchKey": _CHANGED}
"""What these codes mean as the answer to a conditional write."""

_CODES = {
    "AccessDenied": _REFUSED,
    "AllAccessDisabled": _REFUSED,
    "AccountProblem": _REFUSED,
    "NoSuchBucket": Meaning("there is no bucket {bucket} at {endpoint}"),
    "InvalidBucketName": Meaning("{bucket} is no bucket name at {endpoint}"),
    "InvalidAccessKeyId": _NO_KEY,
    "SignatureDoesNotMatch": Meaning("the secret does not belong to the access key {key_id}"),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidToken": Meaning("the session token does not belong to the access key {key_id}"),
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "InvalidObjectState": _ARCHIVED,
    "KMS.DisabledException": _KMS,
    "KMS.NotFoundException": _KMS,
    "KMS.KMSInvalidStateException": _KMS,
    "KMS.AccessDeniedException": _KMS,
    "EntityTooLarge": Meaning("the object is larger than the server takes", LimitExceeded),
    "QuotaExceeded": _NO_ROOM,
    "InsufficientStorage": _NO_ROOM,
    "XMinioStorageFull": _NO_ROOM,
    "NoSuchUpload": Meaning("the multipart upload is gone, perhaps by a lifecycle rule"),
    "PreconditionFailed": Meaning("the object was replaced while it was being read"),
    "SlowDown": _BUSY,
    "SlowDownRead": _BUSY,
    "SlowDownWrite": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "RequestLimitExceeded": _BUSY,
    "TooManyRequests": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "InternalFailure": _BUSY,
    "OperationAborted": _BUSY,
    "RequestTimeout": _SLOW,
    "BadDigest": _DAMAGED,
    "IncompleteBody": _DAMAGED,
    "XAmzContentSHA256Mismatch": _DAMAGED,
    "XAmzContentChecksumMismatch": _DAMAGED,
}

_STATUSES = {
    301: _REGION,
    307: _REGION,
    404: _NOT_S3,
    405: _NOT_S3,
    408: _SLOW,
    409: _BUSY,
    413: Meaning("the object is larger than the server or a proxy takes", LimitExceeded),
    429: _BUSY,
    500: _BUSY,
    502: _BUSY,
    503: _BUSY,
    504: _BUSY,
    507: _NO_ROOM,
}
"""For answers whose code is not above, or that a proxy gave in S3's stead."""

_CLASSES: tuple[tuple[type[BaseException], Meaning], ...] = (
    (boto.NoCredentialsError, _NO_CREDENTIALS),
    (boto.PartialCredentialsError, _NO_CREDENTIALS),
    (boto.CredentialRetrievalError, Meaning("boto3 found no credentials", transient=True)),
    (boto.ConnectTimeoutError, _UNREACHABLE),
    (boto.SSLError, Meaning("no TLS connection with {endpoint}", transient=True)),
    (boto.ConnectionError, _UNREACHABLE),
    (boto.ReadTimeoutError, _SLOW),
    (boto.HTTPClientError, _CUT),
    (boto.IncompleteReadError, _CUT),
    (boto.FlexibleChecksumError, _DAMAGED),
    (ResponseParserError, _NOT_S3),
    (urllib3.exceptions.HTTPError, _CUT),
    (http.client.HTTPException, _CUT),
    (TimeoutError, _SLOW),
    (ConnectionError, _CUT),
    (TruncatedBody, _CUT),
)
"""First match counts: subclasses stand before their bases."""

_UNKNOWN = Meaning("the request was refused")


def code_of(error: BaseException) -> str:
    """Return S3's error code, or the class's name where there was no answer."""
    if isinstance(error, boto.ClientError):
        return str(error.response.get("Error", {}).get("Code") or "without a code")
    return type(error).__name__


def forget_credentials(error: BaseException) -> None:
    """Take out of the error what Amazon sends back of a request that it refuses: the token, too."""
    if isinstance(error, boto.ClientError):
        told = error.response.get("Error", {})
        error.response["Error"] = {n: told[n] for n in ("Code", "Message") if n in told}


def counted(operation: str, error: BaseException) -> str | None:
    """Return what the error is counted as, of a bounded set, or None where it is an answer."""
    if _meaning(operation, error).kind in {SourceMissing, ObjectChanged}:
        return None
    code = code_of(error)
    return code if code in _CODES or not isinstance(error, boto.ClientError) else "other"


def was_refused(error: SourceMissing) -> bool:
    """Say whether the object may be there all the same: S3 has refused, not looked."""
    return error.__cause__ is not None and code_of(error.__cause__) == "AccessDenied"


def is_transient(error: BaseException) -> bool:
    """Say whether the same request may fare better in a moment."""
    return isinstance(error, FOREIGN) and _meaning("", error).transient


def translated(
    error: BaseException, operation: str, key: str, options: S3Options, endpoint: str
) -> AudioProcessorError:
    """Return the project's error for a foreign one. No secret is in it."""
    meaning = _meaning(operation, error)
    says = meaning.says.format(
        bucket=repr(options.bucket),
        endpoint=endpoint,
        region=options.region or "the default",
        key_id=options.access_key_id or "that boto3's own chain found",
    )
    where = f"{quoted(key)} in s3://{options.bucket} at {endpoint}"
    return meaning.kind(f"S3 {operation} of {where}: {says} ({code_of(error)}).")


def _meaning(operation: str, error: BaseException) -> Meaning:
    if isinstance(error, boto.ClientError):
        code = code_of(error)
        if operation == "GetObject" and code in _READ_CODES:
            return _KMS if _names_kms(error) else _READ_CODES[code]
        if operation in _WRITES and code in _WRITE_CODES:
            return _WRITE_CODES[code]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _CODES.get(code) or _STATUSES.get(status) or _UNKNOWN
    for kind, meaning in _CLASSES:
        if isinstance(error, kind):
            return meaning
    return _UNKNOWN


def _names_kms(error: boto.ClientError) -> bool:
    """Whether it is the key that was refused: then the object is there."""
    return "kms:Decrypt" in str(error.response.get("Error", {}).get("Message"))
