"""Which keys a store takes. Pure; the same for a folder and a bucket."""

from __future__ import annotations

import unicodedata

from audio_processor.errors import NameRejected
from audio_processor.naming import printable

MAX_KEY_BYTES = 1024
"""Amazon S3 User Guide, *Naming Amazon S3 objects*: 1,024 bytes of UTF-8."""


def checked_key(key: str) -> str:
    """Return the key, a relative path of plain names.

    Raises ``NameRejected`` for one that is empty, absolute, too long, has ``.``, ``..`` or
    nothing between two slashes (HTTP clients rewrite those), or has control characters.
    """
    if not key:
        raise NameRejected("An object key is empty.")
    # surrogates first: nothing with one can be encoded
    if any(unicodedata.category(c) in {"Cc", "Cs"} for c in key):
        raise NameRejected(f"The key {printable(key)} has control characters in it.")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise NameRejected(f"The key {printable(key)} is longer than {MAX_KEY_BYTES} bytes.")
    if any(part in {"", ".", ".."} for part in key.split("/")):
        raise NameRejected(f"The key {printable(key)} is not a plain relative path.")
    return key
