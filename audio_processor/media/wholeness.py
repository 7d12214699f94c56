"""The verdict on a decode that went to its end: whole, whole enough, or not.

Three witnesses: how many frames came out against how many the container declares, what FFmpeg
complained of, and whether the file ends where it says that it must (``ending``, ``surplus``).
"""

from __future__ import annotations

from pathlib import Path

from audio_processor.errors import CorruptMedia
from audio_processor.media.diagnosis import LOSSLESS, Damage
from audio_processor.media.ending import Cut, find_cut
from audio_processor.media.surplus import find_surplus
from audio_processor.model import Probe

_MISSING_LOSSLESS_S = 0.01
"""Less than the shortest frame of a lossless codec: one that is lost is missed."""
_MISSING_LOSSY_S = 0.25
"""Priming, padding and rounded headers of lossy formats stay below it, however long the file: a
length that is declared is a count, and what FFmpeg estimates of one is none (``description``)."""
_OWN_ARITHMETIC = frozenset({"wav", "w64", "au", "caf", "asf", "aiff", "avi"})
"""Containers whose end is known by their headers: what FFmpeg says of a last packet that is
short is of no weight there, for it says the same of a stream of unknown length."""
_LENGTH_BY_THE_END = frozenset({"ogg"})
"""Containers whose length is what their last page says: once that is gone, it is not known."""


def judge(
    found: Damage,
    source: Path,
    probe: Probe,
    *,
    decoded_frames: int,
    sample_rate_hz: int,
    file_name: str,
    accept_truncated: bool,
) -> tuple[str, ...]:
    """Return the warnings of a decode that may pass, or raise ``CorruptMedia``.

    With ``accept_truncated`` a file that is cut short passes with a warning that says how
    much of it is missing; so does one that goes on behind its stated end.
    """
    if not decoded_frames:
        raise CorruptMedia(
            f"{file_name!r} holds no audio: not one sample could be decoded. "
            "Export it again and upload the new file."
        )
    container = probe.container.split(",", maxsplit=1)[0]
    cut = _cut(found, source, container)
    declared_s = probe.declared_duration_s
    if cut and container in _LENGTH_BY_THE_END:
        declared_s = None
    missing = _missing(cut, declared_s, decoded_frames, sample_rate_hz, probe.codec)
    surplus = _surplus(find_surplus(source, container), source)
    if surplus and not accept_truncated:
        raise CorruptMedia(
            f"{file_name!r} contradicts itself: {surplus} Export it again and upload the new file."
        )
    if missing and not accept_truncated:
        raise CorruptMedia(f"{file_name!r} is cut short or damaged: {missing} Upload it whole.")
    if found.is_serious(decoded_frames):
        raise CorruptMedia(
            f"{file_name!r} is damaged: {found.packets} pieces of it could not be decoded. "
            "Export it again and upload the new file."
        )
    warnings = [f"The file is cut short or damaged: {missing}"] if missing else []
    if surplus:
        warnings.append(f"The file contradicts itself: {surplus}")
    if found.packets:
        warnings.append(f"{found.packets} damaged piece(s) of the file could not be decoded.")
    return tuple(warnings)


def _cut(found: Damage, source: Path, container: str) -> Cut | None:
    """Return the evidence that the file ends too early, the file's own before FFmpeg's."""
    cut = find_cut(source, container)
    if cut is None and (found.cut_short or (found.torn and container not in _OWN_ARITHMETIC)):
        return Cut(None, source.stat().st_size)
    return cut


def _missing(
    cut: Cut | None, declared_s: float | None, decoded_frames: int, rate_hz: int, codec: str
) -> str | None:
    """Return a sentence on what is missing from the programme, or None."""
    decoded_s = decoded_frames / rate_hz
    if declared_s is not None:
        missing_s = declared_s - decoded_s
        if missing_s > (0.5 / rate_hz if cut else _tolerated_s(codec)):
            return (
                f"of the {_seconds(declared_s)} it declares {_seconds(missing_s)} are missing, "
                f"{_seconds(decoded_s)} could be decoded."
            )
        return None
    if cut is None:
        return None
    ends = f"it ends after {_seconds(decoded_s)} in the middle of its data"
    if cut.missing_bytes is None:
        return f"{ends}; how much is missing cannot be told."
    missing_s = decoded_s * cut.missing_bytes / cut.present_bytes
    return f"{ends}, about {_seconds(missing_s)} are missing."


def _surplus(surplus_bytes: int | None, source: Path) -> str | None:
    """Return a sentence on what lies behind the stated end, or None."""
    if surplus_bytes is None:
        return None
    share = surplus_bytes / source.stat().st_size
    return f"it goes on behind the end that its header states, with {share:.0%} of its bytes."


def _tolerated_s(codec: str) -> float:
    """Return by how much a file that does not end early may be off its declared length."""
    return _MISSING_LOSSLESS_S if codec.startswith(LOSSLESS) else _MISSING_LOSSY_S


def _seconds(seconds: float) -> str:
    """Return a length as it is read best: 3.0 s, 12 ms."""
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"
