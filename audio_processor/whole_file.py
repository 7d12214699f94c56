"""A file that ``--output`` names: refused before any work, or written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from audio_processor.errors import ConfigError

_ELSEWHERE = "Use --output to name a file elsewhere."


def check_target(target: Path) -> None:
    """Raise ``ConfigError`` where the file cannot be written, as far as that shows beforehand."""
    folder = target.absolute().parent
    if target.is_dir():
        raise ConfigError(f"{target} is a folder: name a file in it.")
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder: {target.name} cannot go there.")
    if not os.access(folder, os.W_OK):  # nor by root, where the file system is read-only
        raise ConfigError(f"{target} cannot be written: {folder} is read-only here. {_ELSEWHERE}")


def write_whole(target: Path, data: bytes) -> int:
    """Write the file, replacing one that is there, and return its size. Raises ``ConfigError``."""
    draft = target.with_name(f".audio-processor-{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(target)
    except OSError as error:
        # what refused the draft may refuse its removal too, and is the error to be told
        with contextlib.suppress(OSError):
            draft.unlink()
        raise ConfigError(f"{target} cannot be written: {error.strerror}. {_ELSEWHERE}") from error
    return len(data)
