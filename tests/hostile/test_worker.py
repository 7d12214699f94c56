"""A selection of the inputs through the whole worker: row, message, bucket, and no trace left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audio_processor import AudioProcessor, Settings
from audio_processor.media.binary import FFmpegBinary, find_ffmpeg
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.media.probe import probe
from audio_processor.model import COMPLETED, FAILED
from tests.end_to_end.conftest import embedded_settings
from tests.hostile.inputs import LIMIT, HostileInput, Process, Reject, Workshop
from tests.hostile.sentences import complaints
from tests.hostile.table import INPUTS
from tests.hostile.yard import (
    CANARY_NAME,
    LIMITS,
    Listener,
    Opens,
    canary_dbfs,
    closing_all,
    surroundings_in,
)

CHOSEN = (
    *("foreign: nothing at all", "foreign: text", "foreign: zip", "foreign: jpg picture"),
    *("foreign: elf program", "truncated: mp3, half", "truncated: flac, 99 %"),
    *("truncated: m4a, half", "truncated: ogg vorbis, nine tenths", "truncated: wav, half"),
    *("samples: none, in a wav", "samples: 1 in a wav", "samples: 399 in a wav"),
    *("samples: NaN, middle", "samples: +84 dBFS spikes", "samples: DC at full scale"),
    *(
        "samples: digital silence",
        "samples: full-scale square",
        "samples: integers in a float file",
    ),
    *("form: 1 Hz, ten days", "form: 384000 Hz", "form: 32 channels", "form: 8 channels"),
    *("header: wav: data of 4 GiB", "header: m4a: 80000000 samples said to be there"),
    *("reference: m3u8 to a file beside it", "reference: ffconcat to a file by its path"),
    *("reference: dash to a server", "reference: sdp to a server"),
    *("reference: mp3 whose cover is elsewhere", "polyglot: ffconcat behind mp3 frames"),
    *("tags: shell", "tags: not UTF-8", "tags: 5000 in an mp3", "cover: 50 MB"),
    *("bomb: 12 hours of silence in a flac that says so", "encrypted: mp4 by CENC, aac"),
    *("bomb: 12 hours of silence in an opus file", "wrong extension: flac called .mp3"),
)
BY_ID = {case.id: case for case in INPUTS}
MOST_BYTES = 60 * 2**20


@dataclass(frozen=True, slots=True)
class Worked:
    """Every chosen input, after one run of the worker over all of them."""

    processor: AudioProcessor
    root: Path
    counts: tuple[int, int]
    binary: FFmpegBinary

    @property
    def store(self) -> Path:
        return self.root / "store"


def name_of(case: HostileInput) -> str:
    """A plain name: hostile ones have a test of their own."""
    number = CHOSEN.index(case.id)
    return f"{number:02} {''.join(c for c in case.title if c.isalnum())[:20]}.{case.extension}"


def settings_in(root: Path) -> Settings:
    settings = embedded_settings(root)
    limits = {"max_duration_s": LIMITS.max_duration_s, "max_size_bytes": MOST_BYTES}
    return settings.model_copy(update={"limits": settings.limits.model_copy(update=limits)})


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    root = tmp_path_factory.mktemp("worked")
    listener, binary = Listener(), find_ffmpeg()
    raw = root / "store" / "tracks"
    raw.mkdir(parents=True)
    surroundings = surroundings_in(raw, listener)  # beside the uploads, as another artist's
    workshop = Workshop(binary, tmp_path_factory.mktemp("workshop"), surroundings)
    opens = Opens(surroundings.canary)
    with (
        closing_all(listener, opens),
        AudioProcessor(None, None, settings=settings_in(root)) as processor,
    ):
        for identity in CHOSEN:
            case = BY_ID[identity]
            case.write(workshop, raw / name_of(case))
            processor.queue.insert(f"upload {CHOSEN.index(identity)}", name_of(case))
        opens.count()
        counts = processor.process_pending_tracks()
        assert opens.count() == 0, "the canary was opened"
        assert listener.heard() == 0, "somebody was called"
        yield Worked(processor, root, counts, binary)


@pytest.mark.parametrize("identity", CHOSEN)
def test_row_and_bucket(identity: str, worked: Worked) -> None:
    case = BY_ID[identity]
    name = name_of(case)
    record = worked.processor.find(name)
    raw, failed = (worked.store / folder / name for folder in ("tracks", "failedprocessing_tracks"))
    published = worked.store / "mwonya_audio_tracks" / name.rpartition(".")[0]
    assert raw.exists() != failed.exists(), "the upload is in one place, whatever became of it"
    assert record.attempts == 1, "nothing is tried twice that cannot succeed"
    if record.status == COMPLETED:
        assert not isinstance(case.verdict, Reject)
        assert raw.exists()
        assert record.error_code is None and record.error_message is None
        document = json.loads((published / "metadata.json").read_text("utf-8"))
        assert (published / "playlist.m3u8").exists()
        if isinstance(case.verdict, Process):
            assert document["source"]["duration_s"] == pytest.approx(case.verdict.seconds, abs=0.06)
    else:
        assert record.status == FAILED
        assert not isinstance(case.verdict, Process), record.error_message
        assert failed.exists()
        assert not published.exists() or not any(published.iterdir())
        if isinstance(case.verdict, Reject):
            assert record.error_code == case.verdict.code
        found = complaints(record.error_message or "", name)
        assert not found, f"{record.error_message!r}: {found}"


def test_all_were_ended_in_one_run(worked: Worked) -> None:
    assert sum(worked.counts) == len(CHOSEN) >= 25
    assert min(worked.counts) > 5
    assert worked.processor.status().counts.pending == 0


def test_nothing_is_left_behind(worked: Worked) -> None:
    job_folders = list((worked.root / "scratch").rglob("job-*"))
    assert job_folders == []
    assert [path for path in worked.root.rglob("*") if "pwned" in path.name] == []


def test_the_canary_is_in_no_output(worked: Worked, tmp_path: Path) -> None:
    supervisor = Supervisor(worked.binary, tmp_path, ProcessLimits())
    outputs = sorted((worked.store / "mwonya_audio_tracks").rglob("*.m4a"))
    blink = "1inawav"  # one sample, which is less than a decoder lets go of
    outputs = [output for output in outputs if blink not in output.name]
    assert len(outputs) > 5
    for output in outputs:
        probed = probe(supervisor, output, output.name)
        with decode(supervisor, output, probed, file_name=output.name) as decoder:
            pcm = np.concatenate(list(decoder))
        rms = float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)))
        rms_dbfs = 20 * np.log10(max(rms, 1e-9))
        assert canary_dbfs(pcm, probed.sample_rate_hz) < max(-40.0, rms_dbfs - 20), output.name
    assert (worked.store / "tracks" / CANARY_NAME).exists()


def test_an_upload_that_is_gone_is_told_of(worked: Worked) -> None:
    worked.processor.queue.insert("gone", "gone.wav")
    assert worked.processor.process_pending_tracks() == (0, 1)
    record = worked.processor.find("gone")
    assert record.error_code == "source_missing"
    found = complaints(record.error_message or "", "gone.wav")
    assert not found, f"{record.error_message!r}: {found}"


def test_an_upload_that_is_too_large_is_not_even_fetched(tmp_path: Path) -> None:
    with AudioProcessor(None, None, settings=settings_in(tmp_path)) as processor:
        raw = tmp_path / "store" / "tracks" / "huge.wav"
        raw.parent.mkdir(parents=True, exist_ok=True)
        with raw.open("wb") as file:
            file.truncate(2**40)  # a terabyte of nothing
        processor.queue.insert("huge", "huge.wav")
        assert processor.process_pending_tracks() == (0, 1)
        record = processor.find("huge")
    assert record.error_code == LIMIT
    found = complaints(record.error_message or "", "huge.wav")
    assert not found, f"{record.error_message!r}: {found}"
