"""A real player on a published ladder: hls.js in headless Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
import soxr

from audio_processor.delivery.adts import FRAME_SAMPLES
from audio_processor.delivery.package import package
from audio_processor.delivery.publish import CacheControl, publish
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.fdkaac import Fdkaac
from audio_processor.media.fdkaac_binary import find_fdkaac
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.model import Candidate, EncodedTier
from audio_processor.storage.folder import FolderStore
from audio_processor.storage.options import FolderOptions
from tests.delivery.material import (
    LEAD_FRAMES,
    RATE_HZ,
    TIERS,
    Pcm,
    encode,
    inputs,
    song,
)
from tests.fdkaac import fdkaac_path
from tests.player.browser import Story, listen, serving

DURATION_S = 25.3
LISTENINGS = 3
STALLED = "bufferStalledError"


@pytest.fixture(scope="module", params=["aac", "fdkaac"])
def published_ladder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A song packaged and published by this project's own code into a folder."""
    folder = tmp_path_factory.mktemp("published")
    supervisor = Supervisor(find_ffmpeg(), folder, ProcessLimits())
    pcm = song(DURATION_S)
    if request.param == "fdkaac":
        encodes = encode_by_fdkaac(supervisor, pcm, folder)
    else:
        encodes = [encode(supervisor, pcm, tier, folder) for tier in TIERS]
    publish(
        package(supervisor, inputs(encodes, folder / "package")),
        FolderStore(FolderOptions(folder / "store")),
        output_prefix="song/",
        cache_control=CacheControl(),
        generation="g1",
        renew=lambda: None,
    )
    return folder / "store" / "song"


def encode_by_fdkaac(supervisor: Supervisor, pcm: Pcm, folder: Path) -> list[EncodedTier]:
    fdkaac = Fdkaac(find_fdkaac(fdkaac_path(), supervisor.binary))
    return [
        fdkaac.encode(
            *(supervisor, iter([soxr.resample(pcm, RATE_HZ, tier.sample_rate_hz)])),
            tier=tier,
            candidate=Candidate(-2.0),
            target=folder / f"{tier.name}.aac",
            padding_frames=LEAD_FRAMES[tier.sample_rate_hz] - FRAME_SAMPLES,
        )
        for tier in TIERS
    ]


@pytest.fixture(scope="module")
def heard(published_ladder: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """What a listener's player told; of a machine too busy to play, what it told in the end.

    A hole in the ladder stalls the player every time.
    """
    for _ in range(LISTENINGS):
        with serving(published_ladder) as server:
            story = listen(server, tmp_path_factory.mktemp("chromium"))
            told = {**story, "requested": list(server.requested)}
        if not any(error["details"] == STALLED for error in story["errors"]):
            break
    return told


def test_no_error_event_from_start_to_end(heard: Story) -> None:
    assert heard["errors"] == []


def test_all_three_levels_with_their_codec_and_bandwidths(heard: Story) -> None:
    levels = heard["levels"]
    assert [level["codec"] for level in levels] == ["mp4a.40.2"] * 3
    assert [level["uri"].rpartition("/ladder/")[2] for level in levels] == [
        f"{name}/playlist_g1.m3u8" for name in ("low", "med", "high")
    ]
    assert all(0 < level["average"] <= level["bandwidth"] for level in levels)


def test_plays_switches_to_every_level_and_reaches_the_end(heard: Story) -> None:
    assert heard["steps"] == ["played", "level 2", "level 1", "level 0", "ended"]
    assert set(heard["switched"]) == {0, 1, 2}
    assert set(heard["fragments"]) == {"0", "1", "2"}


def test_lasts_as_long_as_the_playlist_says(heard: Story, published_ladder: Path) -> None:
    playlist = (published_ladder / "low" / "playlist.m3u8").read_text()
    stated_s = sum(
        float(line.removeprefix("#EXTINF:").rstrip(","))
        for line in playlist.splitlines()
        if line.startswith("#EXTINF:")
    )
    assert heard["duration"] == pytest.approx(stated_s, abs=0.03)
    assert heard["endedAt"] == pytest.approx(stated_s, abs=0.1)


def test_segments_of_every_tier_were_asked_for(heard: Story) -> None:
    asked = {
        path.split("/")[2]
        for path in heard["requested"]
        if path.startswith("/ladder/") and path.endswith(".ts")
    }
    assert asked == {"low", "med", "high"}
