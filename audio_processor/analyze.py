"""Measure any audio file as the line would, without touching queue or store."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from audio_processor.dsp.measure import Measurer
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import probe
from audio_processor.model import Loudness, SignalFacts
from audio_processor.settings import Settings
from audio_processor.workbench import process_limits


@dataclass(frozen=True, slots=True)
class FileAnalysis:
    """What a file says of itself and what was measured."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float
    loudness: Loudness
    facts: SignalFacts
    warnings: tuple[str, ...]


def analyze_file(path: Path, settings: Settings) -> FileAnalysis:
    """Decode and measure the file. Raises what probing and decoding raise, ``ConfigError``."""
    binary = find_ffmpeg(settings.ffmpeg.path)
    with tempfile.TemporaryDirectory(prefix="audio-processor-") as folder:
        supervisor = Supervisor(binary, Path(folder), process_limits(settings.limits))
        source = path.resolve()
        probed = probe(supervisor, source, path.name)
        measurer = Measurer(probed.sample_rate_hz, 2)
        with decode(supervisor, source, probed, file_name=path.name) as decoder:
            for block in decoder:
                measurer.push(block)
        measured = measurer.result()
    return FileAnalysis(
        container=probed.container,
        codec=probed.codec,
        sample_rate_hz=probed.sample_rate_hz,
        channels=probed.channels,
        duration_s=measured.frames / probed.sample_rate_hz,
        loudness=measured.loudness,
        facts=measured.facts,
        warnings=decoder.warnings,
    )


def facts_in_words(found: FileAnalysis) -> dict[str, str]:
    """Return the rest of the analysis for a table."""
    facts = found.facts
    correlation = "–" if facts.correlation is None else f"{facts.correlation:+.2f}"
    return {
        "duration": f"{found.duration_s:.3f} s",
        "format": f"{found.codec} in {found.container.split(',')[0]}, "
        f"{found.sample_rate_hz} Hz, {found.channels} ch",
        "correlation L/R": correlation,
        "clipped runs": str(facts.clipped_runs),
        "leading silence": f"{facts.leading_silence_s:.2f} s",
        "trailing silence": f"{facts.trailing_silence_s:.2f} s",
    }
