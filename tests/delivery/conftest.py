"""One encode of the song for all tests of the delivery."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from audio_processor.delivery.package import package
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.model import EncodedTier, Package
from tests.delivery.material import TIERS, Pcm, encode, inputs, song


@dataclass(frozen=True, slots=True)
class Encoded:
    pcm: Pcm
    encodes: tuple[EncodedTier, ...]


@pytest.fixture(scope="session")
def supervisor(tmp_path_factory: pytest.TempPathFactory) -> Supervisor:
    return Supervisor(find_ffmpeg(), tmp_path_factory.mktemp("jobs"), ProcessLimits())


@pytest.fixture(scope="session")
def encoded(supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    """25.3 s of song on the three tiers."""
    folder = tmp_path_factory.mktemp("encodes")
    pcm = song(25.3)
    return Encoded(pcm, tuple(encode(supervisor, pcm, tier, folder) for tier in TIERS))


@pytest.fixture(scope="session")
def packaged(
    supervisor: Supervisor, encoded: Encoded, tmp_path_factory: pytest.TempPathFactory
) -> Package:
    folder: Path = tmp_path_factory.mktemp("packaged")
    return package(supervisor, inputs(encoded.encodes, folder / "package"))
