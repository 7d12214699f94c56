"""Two object stores behind one port (``ports.ObjectStore``): a folder and an S3 bucket.

Options are plain frozen values; ``open_store`` makes the store that they describe. boto3 is
imported only when an S3 store is opened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio_processor.storage.observed import Observe, ObservedStore, unobserved
from audio_processor.storage.options import FolderOptions, S3Options

if TYPE_CHECKING:
    from audio_processor.ports import ObjectStore

__all__ = ["FolderOptions", "Observe", "S3Options", "open_store", "unobserved"]


def open_store(options: FolderOptions | S3Options, *, observe: Observe = unobserved) -> ObjectStore:
    """Return the store; no request is sent yet. Safe to use from many threads at once.

    ``observe`` is told of every request, a repeated one each time.

    Raises ``ConfigError`` for options that can never work.
    """
    if isinstance(options, FolderOptions):
        from audio_processor.storage.folder import FolderStore

        return ObservedStore(FolderStore(options), observe)
    from audio_processor.storage.s3 import S3Store

    return S3Store(options, observe)
