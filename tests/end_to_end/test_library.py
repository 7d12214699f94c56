"""The public contract, with a real track, on every back end."""

from __future__ import annotations

import inspect
import json
import logging
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from audio_processor import AudioProcessor, Settings
from audio_processor.model import COMPLETED, FAILED
from audio_processor.wiring import judge_ladder
from tests.end_to_end.conftest import embedded_settings
from tests.servers.flaky_proxy import Fault, Seen, flaky_proxy
from tests.servers.s3 import S3Server


def test_the_signature_is_the_contract() -> None:
    parameters = inspect.signature(AudioProcessor.__init__).parameters
    positional = {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and name != "self"
    }
    assert positional == {
        "s3_bucket": inspect.Parameter.empty,
        "db_config": inspect.Parameter.empty,
        "db_type": "mysql",
        "raw_prefix": "tracks/",
        "processed_prefix": "mwonya_audio_tracks/",
        "failed_prefix": "failedprocessing_tracks/",
        "segment_duration": 10,
    }


def test_importing_configures_no_logging_and_loads_nothing_heavy() -> None:
    code = (
        "import logging, sys; before = list(logging.root.handlers)\n"
        "from audio_processor import AudioProcessor\n"
        "assert logging.root.handlers == before == []\n"
        "heavy = {'numba', 'scipy', 'boto3', 'pyloudnorm'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_track_all_the_way(processor: AudioProcessor, demo_track: Path) -> None:
    upload_id = processor.enqueue(demo_track)
    assert [row["upload_id"] for row in processor.get_pending_tracks()] == [upload_id]

    assert processor.process_pending_tracks() == (1, 0)

    record = processor.find(upload_id)
    assert record.status == COMPLETED and record.summary is not None
    for rendition in record.summary.renditions:
        assert rendition.integrated_lufs == pytest.approx(-14.0, abs=0.3)
        assert rendition.true_peak_dbtp is not None and rendition.true_peak_dbtp <= -1.0
    metadata = json.loads(
        processor.store.read("mwonya_audio_tracks/demo/metadata.json", max_bytes=1 << 20)
    )
    assert metadata["upload_id"] == upload_id
    assert processor.store.size("tracks/demo.wav") == demo_track.stat().st_size
    assert processor.get_pending_tracks() == []
    assert processor.process_pending_tracks() == (0, 0)


def test_what_was_published_is_valid(embedded: AudioProcessor, demo_track: Path) -> None:
    embedded.enqueue(demo_track)
    assert embedded.process_audio("demo.wav")
    report = judge_ladder(embedded.output_of("demo.wav"), embedded.settings)
    assert report.ok, report.findings
    assert [rendition.name for rendition in report.renditions] == ["low", "med", "high"]
    assert [f for f in report.findings if f.severity == "warning"] == []


def test_a_raw_object_without_a_row_gets_one(processor: AudioProcessor, demo_track: Path) -> None:
    processor.store.upload(demo_track, "tracks/lonely.wav", content_type="audio/wav")
    assert processor.process_audio("lonely.wav") is True
    assert processor.find("lonely.wav").status == COMPLETED
    assert processor.process_audio("lonely.wav") is True, "done is done"


def test_neither_row_nor_object_is_false_and_leaves_no_row(
    processor: AudioProcessor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="audio_processor"):
        assert processor.process_audio("nothing.wav") is False
    assert "source_missing" in caplog.text
    assert processor.queue.find("nothing.wav") is None


def test_a_row_without_an_object_fails_as_source_missing(processor: AudioProcessor) -> None:
    processor.queue.insert("u1", "gone.wav")
    assert processor.process_pending_tracks() == (0, 1)
    record = processor.find("u1")
    assert (record.status, record.error_code) == (FAILED, "source_missing")


def test_a_file_that_is_no_audio_fails_and_is_moved_aside_and_comes_back(
    processor: AudioProcessor, tmp_path: Path
) -> None:
    text = tmp_path / "notes.mp3"
    text.write_text("these are words, not music\n" * 50)
    upload_id = processor.enqueue(text)
    assert processor.process_pending_tracks() == (0, 1)
    record = processor.find(upload_id)
    assert record.status == FAILED
    assert record.error_code in {"unsupported_media", "corrupt_media"}
    assert processor.store.size("tracks/notes.mp3") is None
    assert processor.store.size("failedprocessing_tracks/notes.mp3") == text.stat().st_size

    processor.retry(upload_id)
    assert processor.find(upload_id).status == "0"
    assert processor.store.size("tracks/notes.mp3") == text.stat().st_size


def test_the_second_upload_of_one_stem_fails_and_the_first_stays(
    processor: AudioProcessor, demo_track: Path
) -> None:
    first = processor.enqueue(demo_track)
    assert processor.process_pending_tracks() == (1, 0)
    before = processor.store.read("mwonya_audio_tracks/demo/metadata.json", max_bytes=1 << 20)
    processor.store.upload(demo_track, "tracks/demo.flac", content_type="audio/flac")
    processor.queue.insert("second", "demo.flac")
    assert processor.process_pending_tracks() == (0, 1)
    record = processor.find("second")
    assert record.error_code == "output_conflict" and first in (record.error_message or "")
    after = processor.store.read("mwonya_audio_tracks/demo/metadata.json", max_bytes=1 << 20)
    assert after == before, "it names its upload and the time it was made"


def test_a_hostile_name_fails_without_touching_anything(embedded: AudioProcessor) -> None:
    embedded.queue.insert("evil", "../../etc/passwd")
    assert embedded.process_pending_tracks() == (0, 1)
    assert embedded.find("evil").error_code == "name_rejected"


def test_silence_and_a_blink_are_delivered_as_they_are(
    embedded: AudioProcessor, tmp_path: Path
) -> None:
    from scipy.io import wavfile

    wavfile.write(tmp_path / "silence.wav", 44100, np.zeros((44100 * 3, 2), np.int16))
    wavfile.write(tmp_path / "blink.wav", 44100, np.full((4410, 2), 3000, np.int16))
    for name in ("silence.wav", "blink.wav"):
        embedded.enqueue(tmp_path / name)
    assert embedded.process_pending_tracks() == (2, 0)
    for name, reason in (("silence.wav", "silence"), ("blink.wav", "too_short")):
        summary = embedded.find(name).summary
        assert summary is not None
        assert (summary.plan_mode, summary.gain_db, summary.limited_by) == ("none", 0.0, reason)
        assert summary.warnings


def test_nan_is_refused(embedded: AudioProcessor, tmp_path: Path) -> None:
    from scipy.io import wavfile

    audio = np.random.default_rng(1).normal(0, 0.1, (44100 * 2, 2)).astype(np.float32)
    audio[44100, 0] = np.nan
    wavfile.write(tmp_path / "nan.wav", 44100, audio)
    embedded.enqueue(tmp_path / "nan.wav")
    assert embedded.process_pending_tracks() == (0, 1)
    assert embedded.find("nan.wav").error_code == "corrupt_media"


def test_the_same_source_gives_the_same_segments(tmp_path: Path, demo_track: Path) -> None:
    trees = []
    for run in ("one", "two"):
        settings = embedded_settings(tmp_path / run)
        with AudioProcessor(None, None, settings=settings) as processor:
            processor.enqueue(demo_track)
            assert processor.process_audio("demo.wav")
        output = tmp_path / run / "store/mwonya_audio_tracks/demo"
        generation = json.loads((output / "metadata.json").read_text())["generation"]
        trees.append(
            {
                str(path.relative_to(output)).replace(generation, "…"): path.read_bytes().replace(
                    generation.encode(), b"..."
                )
                for path in output.rglob("*")
                if path.suffix in {".ts", ".m4a", ".m3u8"}
            }
        )
    assert trees[0] == trees[1]
    assert len(trees[0]) >= 3 * 3 + 1


def test_processing_again_replaces_the_ladder_and_keeps_the_one_before(
    embedded: AudioProcessor, demo_track: Path
) -> None:
    folder = "mwonya_audio_tracks/demo/"
    masters = []
    for _ in range(2):
        embedded.enqueue(demo_track, replace=True)
        assert embedded.process_audio("demo.wav")
        masters.append(embedded.store.read(f"{folder}playlist.m3u8", max_bytes=1 << 20).decode())
    assert masters[0] != masters[1]
    for master in masters:
        for variant in (line for line in master.splitlines() if not line.startswith("#")):
            assert embedded.store.size(folder + variant) is not None
    report = judge_ladder(embedded.output_of("demo.wav"), embedded.settings)
    assert report.ok, report.findings


def test_a_track_that_fails_though_it_was_published_is_off_the_air(
    embedded: AudioProcessor, demo_track: Path, tmp_path: Path
) -> None:
    """Its worker published it and died before the row said so; then the upload is gone."""
    upload_id = embedded.enqueue(demo_track)
    assert embedded.process_audio("demo.wav")
    started = '[{"number": 1, "worker_id": "dead", "started_at": null, "outcome": "running"}]'
    with sqlite3.connect(tmp_path / "queue.db") as connection:
        connection.execute(
            "UPDATE Uploads SET processing_status = 'processing', result = NULL, attempts = 1, "
            "lease_token = 'dead', lease_expires_at = '2001-01-01 00:00:00.000000', history = ?",
            (started,),
        )
    embedded.store.delete("tracks/demo.wav")
    assert embedded.process_pending_tracks() == (0, 1)
    assert embedded.find(upload_id).error_code == "source_missing"
    assert embedded.store.size("mwonya_audio_tracks/demo/playlist.m3u8") is None


def test_it_works_from_several_threads_at_once(tmp_path: Path, demo_track: Path) -> None:
    with AudioProcessor(None, None, settings=embedded_settings(tmp_path)) as processor:
        for name in ("a.wav", "b.wav"):
            processor.store.upload(demo_track, f"tracks/{name}", content_type="audio/wav")
        results: dict[str, bool] = {}

        def work(name: str) -> None:
            results[name] = processor.process_audio(name)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("a.wav", "b.wav")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert results == {"a.wav": True, "b.wav": True}
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("accepted", [False, True])
def test_half_a_file_is_refused_unless_the_settings_accept_it(
    tmp_path: Path, demo_track: Path, accepted: bool
) -> None:
    half = tmp_path / "half.wav"
    whole = demo_track.read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    settings = embedded_settings(tmp_path)
    limits = settings.limits.model_copy(update={"accept_truncated": accepted})
    settings = settings.model_copy(update={"limits": limits})
    with AudioProcessor(None, None, settings=settings) as processor:
        processor.enqueue(half)
        completed = processor.process_audio("half.wav")
        record = processor.find("half.wav")
    assert completed is accepted
    if accepted:
        assert record.summary is not None
        assert any("missing" in warning for warning in record.summary.warnings)
    else:
        assert record.error_code == "corrupt_media"
        assert "11.0 s" in (record.error_message or "")


def test_every_database_setting_reaches_the_queue(tmp_path: Path) -> None:
    server = {
        "type": "postgresql",
        "host": "db.example",
        "user": "u",
        "password": "p",
        "name": "d",
        "tls": True,
        "tls_verify": False,
        "tls_ca_file": tmp_path / "ca.pem",
    }
    settings = embedded_settings(tmp_path).model_dump() | {"database": server}
    with AudioProcessor(None, None, settings=Settings.model_validate(settings)) as processor:
        assert "db.example:5432" in processor.queue.describe()


@pytest.mark.parametrize("row", ["podcast", "cancelled", "unleased"])
def test_a_row_that_no_worker_will_move_is_not_waited_for(tmp_path: Path, row: str) -> None:
    with AudioProcessor(None, None, settings=embedded_settings(tmp_path)) as processor:
        processor.queue.insert("u", "x.wav")
        change = {
            "podcast": "upload_type = 'podcast'",
            "cancelled": "processing_status = 'cancelled'",
            "unleased": "processing_status = 'processing'",
        }[row]
        with sqlite3.connect(tmp_path / "queue.db") as connection:
            connection.execute(f"UPDATE Uploads SET {change}")
        assert processor.process_audio("x.wav") is False


def test_a_track_that_killed_its_workers_is_counted_and_moved_aside(
    tmp_path: Path, demo_track: Path
) -> None:
    with AudioProcessor(None, None, settings=embedded_settings(tmp_path)) as processor:
        upload_id = processor.enqueue(demo_track)
        with sqlite3.connect(tmp_path / "queue.db") as connection:
            connection.execute(
                "UPDATE Uploads SET processing_status = 'processing', attempts = 99, "
                "lease_token = 'dead', lease_expires_at = '2001-01-01 00:00:00.000000'"
            )
        assert processor.process_pending_tracks() == (0, 1)
        assert processor.find(upload_id).error_code == "attempts_exhausted"
        assert processor.store.size("failedprocessing_tracks/demo.wav") is not None


def test_stop_before_the_work_begins_is_not_forgotten(tmp_path: Path, demo_track: Path) -> None:
    with AudioProcessor(None, None, settings=embedded_settings(tmp_path)) as processor:
        processor.enqueue(demo_track)
        processor.stop()
        assert processor.process_pending_tracks() == (0, 0)
        assert processor.status().counts.pending == 1


def test_a_store_that_goes_silent_during_a_drain_costs_no_attempt(
    tmp_path: Path, demo_track: Path, s3_server: S3Server
) -> None:
    """Nor is a segment sent again: the grace of a pod has room for one request."""
    with flaky_proxy(s3_server.endpoint_url) as proxy:
        storage = {
            **s3_server.settings(s3_server.make_bucket(), endpoint_url=proxy.url),
            "read_timeout_s": 5.0,
            "attempts": 1,  # the last try of many: its failure must not be the job's
        }
        settings = Settings.model_validate(
            {
                "database": {"path": tmp_path / "queue.db"},
                "storage": storage,
                "scratch": {"folder": tmp_path / "scratch"},
            }
        )
        with AudioProcessor(None, None, settings=settings) as processor:
            upload_id = processor.enqueue(demo_track)
            silenced: list[str] = []

            def weather(seen: Seen) -> Fault | None:
                if seen.method != "PUT" or not seen.path.endswith(".ts"):
                    return None
                silenced.append(seen.path)
                processor.stop()
                processor.stop()  # at once, as the drain timeout does
                return "stall"

            proxy.weather = weather
            processor.process_pending_tracks()
            row = processor.queue.find(upload_id)
        assert row is not None
        assert (row.status, row.attempts) == ("0", 0)
        assert silenced
        assert len(silenced) == len(set(silenced)), "a segment was sent again"
