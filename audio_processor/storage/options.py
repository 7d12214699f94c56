"""What a store is opened with: frozen values, checked when made. No heavy import here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from audio_processor.errors import ConfigError
from audio_processor.secret import Secret

MIB = 1024 * 1024
MIN_PART_BYTES = 5 * MIB
"""S3's least size of a part that is not the last (Amazon S3 User Guide, multipart limits)."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_NO_CONTROLS = re.compile(r"[^\x00-\x1f\x7f]*")
_HEADER = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """A store in a folder of one file system."""

    root: Path
    create: bool = True
    """Make the folder when it is not there; False for a store that is only read."""


@dataclass(frozen=True, slots=True)
class S3Options:
    """A bucket, how to reach it and how to store in it.

    Raises ``ConfigError`` for values that contradict each other. The secret and the session token
    become ``Secret``s, so that no repr, copy or pickle shows them. Without an access key, boto3's
    own chain is asked for credentials (environment, web identity, container, instance profile).
    """

    bucket: str
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: Secret | str | None = field(default=None, repr=False)
    session_token: Secret | str | None = field(default=None, repr=False)
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    sse: Literal["AES256", "aws:kms"] | None = None
    sse_kms_key_id: str | None = None
    checksum_mode: Literal["when_required", "when_supported"] = "when_required"
    """``when_supported`` adds CRC32 to every PUT; Ceph RGW 16 and rclone answer that with 411."""
    storage_class: str | None = None
    probe_key: str = "ping"
    """An object of our own that need not be there; what a ping asks for."""
    part_size_bytes: int = 8 * MIB
    max_concurrency: int = 4
    """Parts of one object under way at once."""
    single_copy_max_bytes: int = 5 * 1024 * MIB
    """CopyObject's limit; a larger object is copied in parts."""
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    max_attempts: int = 5
    """Requests sent before a transient fault becomes ``StoreUnavailable``."""
    backoff_s: float = 0.5
    """Upper end of the first random wait between attempts; it doubles with each."""
    backoff_max_s: float = 20.0

    def __post_init__(self) -> None:
        for name in ("secret_access_key", "session_token"):
            value = getattr(self, name)
            object.__setattr__(self, name, Secret(value) if isinstance(value, str) else value)
        if not _BUCKET.fullmatch(self.bucket):
            raise ConfigError(f"bucket: {self.bucket!r} is not a bucket name.")
        self._check_credentials()
        if self.endpoint_url is not None:
            check_endpoint(self.endpoint_url, "endpoint_url")
        if self.sse_kms_key_id is not None and self.sse != "aws:kms":
            raise ConfigError("sse_kms_key_id: it needs sse = 'aws:kms'.")
        if self.part_size_bytes < MIN_PART_BYTES:
            raise ConfigError(f"part_size_bytes: S3 takes no part under {MIN_PART_BYTES} bytes.")
        if self.max_concurrency < 1 or self.max_attempts < 1:
            raise ConfigError("max_concurrency and max_attempts: at least 1.")
        if min(self.connect_timeout_s, self.read_timeout_s) <= 0:
            raise ConfigError("connect_timeout_s and read_timeout_s: above 0.")

    def _check_credentials(self) -> None:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ConfigError("access_key_id and secret_access_key: set both or neither.")
        if self.session_token is not None and self.access_key_id is None:
            raise ConfigError("session_token: it needs access_key_id and secret_access_key.")
        # two of them are sent: what cannot be a header is quoted in full by whoever refuses it
        for name, allowed in (
            ("access_key_id", _HEADER),
            ("session_token", _HEADER),
            ("secret_access_key", _NO_CONTROLS),
        ):
            if not allowed.fullmatch(revealed(getattr(self, name)) or ""):
                raise ConfigError(f"{name}: has a line break or another character that none has.")


def check_endpoint(url: str, name: str) -> None:
    """Refuse an address that could carry a password; never quotes it. Raises ``ConfigError``."""
    if "@" in url or "?" in url or "#" in url:
        raise ConfigError(f"{name}: credentials do not belong in the URL.")
    if not _is_address(url):  # no port, say, but perhaps the first half of a password
        raise ConfigError(f"{name}: give it as https://host or http://host:port.")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def revealed(secret: Secret | str | None) -> str | None:
    """Return the text of an option that holds a secret."""
    return secret.reveal() if isinstance(secret, Secret) else secret
