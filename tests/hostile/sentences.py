"""What a refusal must be: a sentence that an artist can act on, and nothing of our insides."""

from __future__ import annotations

import re

from audio_processor.errors import AudioProcessorError

_ADVICE = re.compile(
    r"\b(?:Upload|Export|Remove|Cut|rename|Rename)\b",
)
_INSIDES = (
    re.compile(r"@ 0x|0x[0-9a-f]{6,}"),
    re.compile(
        r"\bdemux|\bdecoder:|\bstream #|\bavcodec|\bav_|ffmpeg|libav|exit code", re.IGNORECASE
    ),
    re.compile(r"/(?:tmp|work|home|root|var|usr|proc|etc)\b"),
    re.compile(r"Traceback|Error\b|Exception|errno", re.IGNORECASE),
    re.compile(r"[\x00-\x1f\x7f]"),
)


def complaints(message: str, file_name: str) -> list[str]:
    """Return what is wrong with a message; an empty list where it is fit to be shown."""
    found = [f"it shows {pattern.pattern}" for pattern in _INSIDES if pattern.search(message)]
    if repr(file_name)[1:-1] not in message:
        found.append("it does not name the file")
    if not message.endswith("."):
        found.append("it does not end as a sentence")
    if not _ADVICE.search(message):
        found.append("it does not say what to do")
    return found


def assert_fit_for_an_artist(error: AudioProcessorError, file_name: str) -> None:
    """Hold the error's sentence against the rules."""
    found = complaints(str(error), file_name)
    assert not found, f"{str(error)!r}: {found}"
