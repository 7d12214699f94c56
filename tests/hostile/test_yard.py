"""The yard notices what it is there to notice: without our terms, FFmpeg does all of it."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from audio_processor.media import argv
from tests.hostile.inputs import HostileInput
from tests.hostile.references import PLAYLISTS
from tests.hostile.sentences import complaints
from tests.hostile.table import INPUTS
from tests.hostile.yard import CANARY_DBFS, Yard, canary_dbfs

BY_ID = {case.id: case for case in INPUTS}
AS_HLS = (
    *("-f", "hls", "-allowed_extensions", "ALL"),
    *("-allowed_segment_extensions", "ALL", "-extension_picky", "0"),
)
"""What FFmpeg did of itself before version 7.1 met a playlist of any name with suspicion."""


def play_carelessly(case: HostileInput, yard: Yard, *options: str) -> bytes:
    """Decode as a program without our terms would: what the file says is done."""
    source = yard.source.with_name("careless.mp3")
    case.write(yard.workshop, source)
    done = subprocess.run(
        [
            *(str(yard.workshop.binary.path), "-v", "quiet", *options, "-i", source.name),
            *("-map", "0:a:0", "-f", "f32le", "-ac", "2", "-ar", "44100", "-"),
        ],
        cwd=yard.supervisor.job_dir,
        capture_output=True,
        check=False,
        timeout=30,
    )
    source.unlink()
    return done.stdout


@pytest.mark.parametrize("playlist", ["m3u8", "ffconcat"])
def test_a_careless_player_sings_like_the_canary(playlist: str, yard: Yard) -> None:
    case = BY_ID[f"reference: {playlist} to a file beside it"]
    played = play_carelessly(case, yard, *(AS_HLS if playlist == "m3u8" else ()))
    pcm = np.frombuffer(played, "<f4").reshape(-1, 2)
    assert canary_dbfs(pcm, 44_100) == pytest.approx(CANARY_DBFS, abs=0.1)
    assert yard.opens.count() > 0


def test_a_careless_player_calls_the_listener(yard: Yard) -> None:
    case = BY_ID["reference: m3u8 to a server"]
    impatient = ("-rw_timeout", "200000")  # microseconds: the listener never answers
    play_carelessly(case, yard, *AS_HLS, *impatient, "-protocol_whitelist", "file,http,tcp")
    assert yard.listener.heard() > 0


def test_a_protocol_list_alone_does_not_help(yard: Yard) -> None:
    case = BY_ID["reference: ffconcat to a file beside it"]
    assert play_carelessly(case, yard, "-protocol_whitelist", "file,pipe")
    assert yard.opens.count() > 0


def test_every_kind_of_playlist_is_tried() -> None:
    tried = {case.title.partition(" to ")[0] for case in INPUTS if case.kind == "reference"}
    assert set(PLAYLISTS) <= tried
    assert not {"hls", "concat", "dash", "sdp", "imf"} & set(argv.DEMUXERS)


def test_memory_is_seen(yard: Yard) -> None:
    yard.memory.peak_mib()
    yard.ingest(BY_ID["cover: 50 MB"], "x.mp3")
    assert yard.memory.peak_mib() > 50


@pytest.mark.parametrize(
    "message",
    [
        "[mp3float @ 0x55d5] Header missing in 'a.mp3'. Upload it again.",
        "'a.mp3' is at /tmp/job/source. Upload it again.",
        "'a.mp3' is damaged.",
        "'a.mp3' is damaged. Upload it again",
        "The file is damaged. Upload it again.",
        "FFmpeg could not read 'a.mp3'. Upload it again.",
    ],
)
def test_a_message_that_is_not_fit_is_noticed(message: str) -> None:
    assert complaints(message, "a.mp3")
