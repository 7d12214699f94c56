"""The means of acceptance would see a fault: they are tried on what is known to be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audio_processor import AudioProcessor
from audio_processor.demo import render_demo
from audio_processor.media.binary import find_ffmpeg
from bench.delivered import OUTPUT, Delivered, judge
from tests.end_to_end.conftest import embedded_settings


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A demo track, and the folder of the store that its ladder is in."""
    folder = tmp_path_factory.mktemp("published")
    source = render_demo(folder / "demo.wav", duration_s=22.0)
    with AudioProcessor(None, None, settings=embedded_settings(folder)) as processor:
        processor.enqueue(source)
        assert processor.process_pending_tracks() == (1, 0)
    return source, folder / "store"


def judged(
    published: tuple[Path, Path], tmp_path: Path, changed: dict[str, bytes] | None = None
) -> Delivered:
    """Judge it with some objects replaced."""
    source, store = published
    replaced = {f"{OUTPUT}demo/{name}": data for name, data in (changed or {}).items()}

    def read(key: str) -> bytes:
        return replaced[key] if key in replaced else (store / key).read_bytes()

    return judge(find_ffmpeg().path, source, read, tmp_path, "embedded")


def metadata_of(published: tuple[Path, Path]) -> dict[str, Any]:
    path = published[1] / f"{OUTPUT}demo/metadata.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def test_what_is_right_has_no_fault(published: tuple[Path, Path], tmp_path: Path) -> None:
    assert judged(published, tmp_path).faults == ()


@pytest.mark.parametrize(
    ("key", "off_by"), [("integrated_lufs", 0.2), ("true_peak_dbtp", 0.4), ("range_lu", 2.0)]
)
def test_a_level_that_is_not_so_is_a_fault(
    published: tuple[Path, Path], tmp_path: Path, key: str, off_by: float
) -> None:
    document = metadata_of(published)
    document["renditions"][0]["loudness"][key] += off_by
    faults = judged(published, tmp_path, {"metadata.json": json.dumps(document).encode()}).faults
    assert [fault for fault in faults if fault.startswith(f"low: {key}")]


def test_a_bandwidth_that_is_not_so_is_a_fault(
    published: tuple[Path, Path], tmp_path: Path
) -> None:
    master = (published[1] / f"{OUTPUT}demo/playlist.m3u8").read_text(encoding="utf-8")
    stated = str(metadata_of(published)["renditions"][1]["average_bandwidth"])
    wrong = master.replace(f"AVERAGE-BANDWIDTH={stated}", "AVERAGE-BANDWIDTH=99999")
    assert wrong != master
    faults = judged(published, tmp_path, {"playlist.m3u8": wrong.encode()}).faults
    assert [fault for fault in faults if fault.startswith("med: AVERAGE-BANDWIDTH")]


def test_a_segment_that_is_another_one_is_a_fault(
    published: tuple[Path, Path], tmp_path: Path
) -> None:
    first, second, *_ = sorted((published[1] / f"{OUTPUT}demo/low").glob("*.ts"))
    faults = judged(published, tmp_path, {f"low/{second.name}": first.read_bytes()}).faults
    assert [fault for fault in faults if fault.startswith("low: ") and "bytes, not" in fault]
