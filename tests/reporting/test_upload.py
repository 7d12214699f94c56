"""Reports of uploads: read back from queue and store, whatever has become of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audio_processor import AudioProcessor, Settings
from audio_processor.errors import ConfigError, RequestRefused
from audio_processor.reporting import abx
from audio_processor.reporting.report import Made, Order, report_upload
from audio_processor.telemetry import NullProgress
from audio_processor.wiring import open_studio
from tests.reporting.html import Element, read_page
from tests.reporting.material import band, tagged, write_wav

TRACK_ID = "a song & <b>"


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AudioProcessor]:
    folder = tmp_path_factory.mktemp("embedded")
    settings = Settings.model_validate(
        {
            "database": {"path": folder / "queue.db"},
            "storage": {"folder": folder / "store"},
            "scratch": {"folder": folder / "scratch"},
            "worker": {"max_attempts": 1},
        }
    )
    wav = write_wav(folder / "raw.wav", band(14.0))
    with AudioProcessor(None, None, settings=settings) as made:
        made.enqueue(tagged(wav, folder / f"{TRACK_ID}.flac", {"title": "Song <i>"}))
        whole = (folder / f"{TRACK_ID}.flac").read_bytes()
        (folder / "cut.flac").write_bytes(whole[: len(whole) // 2])
        made.enqueue(folder / "cut.flac")
        (folder / "words.mp3").write_text("not music " * 100)
        made.enqueue(folder / "words.mp3")
        made.process_pending_tracks()
        made.enqueue(tagged(wav, folder / "waiting.flac", {}))
        yield made


def make(processor: AudioProcessor, upload: str, order: Order) -> Made:
    studio = open_studio(processor.settings)
    row = processor.find(upload)
    return report_upload(row, processor.store, order, processor.settings, studio, NullProgress())


def report(processor: AudioProcessor, upload: str, folder: Path) -> Element:
    return read_page(make(processor, upload, Order(folder / "page.html")).page.read_text())


def ids(root: Element) -> set[str | None]:
    return {e.attributes.get("id") for e in root.all("section")}


def stored(processor: AudioProcessor, name: str) -> Path:
    storage = processor.settings.storage
    return storage.folder / storage.processed_prefix / TRACK_ID / name


def test_a_completed_upload_by_id_and_by_name(processor: AudioProcessor, tmp_path: Path) -> None:
    row = processor.find(f"{TRACK_ID}.flac")
    assert row.summary is not None
    for upload in (row.upload_id, row.file_name):
        root = report(processor, upload, tmp_path)
        assert {"waveform", "loudness", "gain", "spectrum", "stereo", "renditions"} <= ids(root)
        assert "failure" not in ids(root) and "notes" not in ids(root)
        assert root.all("h1")[0].text == "Song <i>"
        shown = {cells[0]: cells[1] for cells in root.one("renditions").rows()}
        for rendition in row.summary.renditions:
            assert rendition.integrated_lufs is not None
            value = float(shown[rendition.name].replace("−", "-"))
            assert value == pytest.approx(rendition.integrated_lufs, abs=0.006)
        assert "Gain reduction of the limiter" in root.one("gain").text
        assert root.one("attempts").rows()[1][3] == "completed"


def test_excerpts_of_an_upload(processor: AudioProcessor, tmp_path: Path) -> None:
    order = Order(tmp_path / "page.html", abx.Order(tmp_path / "abx", seed=1))
    made = make(processor, f"{TRACK_ID}.flac", order)
    assert {path.suffix for path in made.excerpts} == {".wav", ".json"}
    assert all(path.is_file() for path in made.excerpts)


def test_a_failed_upload_tells_why_and_shows_what_came(
    processor: AudioProcessor, tmp_path: Path
) -> None:
    root = report(processor, "cut.flac", tmp_path)
    assert "cut short" in root.one("failure").text
    assert "corrupt_media" in root.one("failure").text
    assert len(root.one("waveform").all("svg")) == 1
    assert {"gain", "renditions"}.isdisjoint(ids(root))
    assert root.one("attempts").rows()[1][3] == "failed"


def test_what_is_not_audio_tells_why_and_shows_nothing(
    processor: AudioProcessor, tmp_path: Path
) -> None:
    root = report(processor, "words.mp3", tmp_path)
    assert "unsupported_media" in root.one("failure").text
    assert "no picture of before" in root.one("notes").text
    assert "waveform" not in ids(root)
    with pytest.raises(RequestRefused):
        make(processor, "words.mp3", Order(tmp_path / "p.html", abx.Order(tmp_path / "abx")))


def test_a_waiting_upload_shows_what_came(processor: AudioProcessor, tmp_path: Path) -> None:
    root = report(processor, "waiting.flac", tmp_path)
    assert "waiting" in root.all("header")[0].text
    assert {"failure", "renditions"}.isdisjoint(ids(root))


def test_what_is_gone_is_named(processor: AudioProcessor, tmp_path: Path) -> None:
    m4a, metadata = stored(processor, f"{TRACK_ID}.m4a"), stored(processor, "metadata.json")
    kept = m4a.read_bytes(), metadata.read_bytes()
    try:
        metadata.write_text('{"schema_version": "1.0"}')
        m4a.unlink()
        root = report(processor, f"{TRACK_ID}.flac", tmp_path)
        assert "metadata.json could not be read" in root.one("notes").text
        assert "no picture of after" in root.one("notes").text
        assert [row[0] for row in root.one("renditions").rows()][1:] == [
            "low",
            "med",
            "high",
            "m4a",
        ]  # from the row
        m4a.write_bytes(b"not an m4a")
        root = report(processor, f"{TRACK_ID}.flac", tmp_path)
        assert "no picture of after" in root.one("notes").text
    finally:
        m4a.write_bytes(kept[0])
        metadata.write_bytes(kept[1])


def test_a_page_is_replaced_whole_and_nothing_else_is_left(
    processor: AudioProcessor, tmp_path: Path
) -> None:
    target = tmp_path / "page.html"
    target.write_text("old")
    made = make(processor, "words.mp3", Order(target))
    assert target.stat().st_size == made.size_bytes > 1000
    assert list(tmp_path.iterdir()) == [target]
    assert not list(processor.settings.scratch_folder().glob("report-*"))


def test_where_a_page_cannot_go_is_found_out_first(
    processor: AudioProcessor, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="not a folder"):
        make(processor, "words.mp3", Order(tmp_path / "no" / "page.html"))
    with pytest.raises(ConfigError, match="is a folder"):
        make(processor, "words.mp3", Order(tmp_path))
