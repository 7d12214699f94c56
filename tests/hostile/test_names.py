"""Hostile names through the whole worker: a key and a column's value, never a path."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audio_processor import AudioProcessor
from audio_processor.model import COMPLETED, FAILED
from audio_processor.naming import printable
from tests.end_to_end.conftest import embedded_settings
from tests.hostile import writers
from tests.hostile.names import NAMES, HostileName
from tests.hostile.sentences import complaints
from tests.hostile.yard import Listener

URI = re.compile(r"(?:(?:low|med|high)/)?(?:playlist|segment)[a-z0-9_-]*\.(?:m3u8|ts)")
"""All that a playlist may name: nothing in it is the artist's."""
NOT_TEXT = {"lone surrogate"}
"""Names that no database takes, so that no row can have them."""


@dataclass(frozen=True, slots=True)
class Named:
    """All names, processed in one run."""

    processor: AudioProcessor
    root: Path
    outside: set[Path]
    """What was beside the data before."""


def tree(folder: Path) -> set[Path]:
    return {Path(where) / name for where, _, names in os.walk(folder) for name in names}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    root = tmp_path_factory.mktemp("names")
    (root / "passwd").write_text("root")
    raw = root / "blink.wav"
    blip = np.sin(np.arange(6000) / 9)[:, None] * [6000, 5000]
    raw.write_bytes(writers.wav(blip.astype("<i2").tobytes()))
    settings = embedded_settings(root / "data")
    listener = Listener()
    with AudioProcessor(None, None, settings=settings) as processor:
        outside = tree(root) - tree(root / "data")
        for case in NAMES:
            if case.accepted:
                key = f"tracks/{case.name}"
                processor.store.upload(raw, key, content_type="audio/wav")
        processor.queue.migrate()
        with sqlite3.connect(root / "data" / "queue.db") as rows:  # as a client of old would
            rows.executemany(
                "INSERT INTO Uploads (upload_id, file_name) VALUES (?, ?)",
                [(case.title, case.name) for case in NAMES if case.title not in NOT_TEXT],
            )
        rows.close()
        processor.process_pending_tracks()
        yield Named(processor, root, outside)
    assert listener.heard() == 0
    listener.close()


@pytest.mark.parametrize("case", NAMES, ids=lambda case: case.title)
def test_name(case: HostileName, named: Named) -> None:
    if case.title in NOT_TEXT:
        return
    record = named.processor.find(case.title)
    if case.accepted:
        assert (record.status, record.error_message) == (COMPLETED, None)
        stem = case.name.rpartition(".")[0] or case.name
        folder = named.root / "data" / "store" / "mwonya_audio_tracks" / stem
        published = {path.name for path in folder.iterdir()}
        assert {f"{stem}.m4a", "playlist.m3u8", "metadata.json", "high"} <= published
        metadata = json.loads((folder / "metadata.json").read_text("utf-8"))
        assert metadata["track_id"] == stem
        uris = {
            line
            for playlist in folder.rglob("*.m3u8")
            for line in playlist.read_text("utf-8").splitlines()
            if not line.startswith("#")
        }
        assert all(URI.fullmatch(uri) for uri in uris)
    else:
        assert (record.status, record.error_code) == (FAILED, "name_rejected")
        message = record.error_message or ""
        assert len(message) < 300
        found = complaints(message.replace(printable(case.name), ""), "")
        assert not found, f"{message!r}: {found}"


def test_nothing_was_written_beside_the_data(named: Named) -> None:
    assert tree(named.root) - tree(named.root / "data") == named.outside
    assert not (Path.cwd() / "pwned").exists()
    beside = {path.name for path in (named.root / "data" / "store").iterdir()}
    assert beside <= {"tracks", "mwonya_audio_tracks", "failedprocessing_tracks", ".partial"}


def test_names_that_look_alike_are_two_tracks(named: Named) -> None:
    """NFC and NFD are two keys in every store, so they are two folders."""
    composed, decomposed = (named.processor.find(title) for title in ("composed", "decomposed"))
    assert composed.status == decomposed.status == COMPLETED
    assert composed.file_name != decomposed.file_name
