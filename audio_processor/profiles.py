"""Profiles as files: measured from audio, stored as TOML, read again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from audio_processor.errors import ConfigError
from audio_processor.mastering.profile import Profile, ProfileMeter, combine
from audio_processor.mastering.profile_file import dump_profile, load_profile
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import probe
from audio_processor.settings import Settings
from audio_processor.whole_file import write_whole
from audio_processor.workbench import media_limits, process_limits

MAX_PROFILE_BYTES = 1 << 20
"""A stored profile has some 10 KiB."""

Told = Callable[[Path], None]


def read_profile(path: Path) -> Profile:
    """Return a stored profile. Raises ``ConfigError`` that names the file and what is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROFILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"The profile {path} cannot be read: {error.strerror}.") from error
    if len(data) > MAX_PROFILE_BYTES:
        raise ConfigError(f"The profile {path} is larger than any profile.")
    try:
        return load_profile(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"The profile {path} is no UTF-8 text.") from error
    except ValueError as error:
        raise ConfigError(f"The profile {path}: {error}") from error


def read_stored(paths: Mapping[str, Path]) -> dict[str, Profile]:
    """Return the profiles that the configuration names. Raises ``ConfigError`` with the key."""
    found = {}
    for name, path in paths.items():
        try:
            found[name] = read_profile(path)
        except ConfigError as error:
            raise ConfigError(f"mastering.profiles.{name}: {error}") from error
    return found


def write_profile(profile: Profile, path: Path) -> None:
    """Store a profile; the file appears whole. Raises ``ConfigError`` where it cannot."""
    write_whole(path, dump_profile(profile).encode("utf-8"))


def profile_of(file: Path, settings: Settings) -> Profile:
    """Return the profile of an audio file, or the one that a ``.toml`` holds.

    Raises ``ConfigError`` for the latter, and what probing and decoding raise.
    """
    if file.suffix.lower() == ".toml":
        return read_profile(file)
    binary = find_ffmpeg(settings.ffmpeg.path)
    with tempfile.TemporaryDirectory(prefix="audio-processor-") as folder:
        supervisor = Supervisor(binary, Path(folder), process_limits(settings.limits))
        source = file.resolve()
        probed = probe(supervisor, source, file.name, media_limits(settings.limits))
        meter = ProfileMeter(probed.sample_rate_hz)
        with decode(
            supervisor,
            source,
            probed,
            file_name=file.name,
            max_duration_s=settings.limits.max_duration_s,
        ) as decoder:
            for block in decoder:
                meter.push(block)
    return meter.result()


def build_profile(
    weighted: Iterable[tuple[Path, float]], settings: Settings, told: Told = lambda _: None
) -> Profile:
    """Return the one profile that several files amount to, each with its weight.

    ``told`` is told of each file before it is heard. Raises ``MasteringRejected`` where one
    has no loudness, and as ``profile_of`` does.
    """
    found: list[tuple[Profile, float]] = []
    for file, weight in weighted:
        told(file)
        found.append((profile_of(file, settings), weight))
    return combine(found)
