"""Makes a report: gathers, draws, writes the page and the excerpts that are asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from audio_processor.mastering.studio import Studio
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.ports import ObjectStore, Progress
from audio_processor.reporting import abx
from audio_processor.reporting.gather import Gathered, gather_file
from audio_processor.reporting.page import page
from audio_processor.reporting.rows import UploadRow
from audio_processor.reporting.upload import gather_upload
from audio_processor.settings import Settings
from audio_processor.whole_file import check_target, write_whole
from audio_processor.workbench import Workbench, open_encoder, process_limits


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made, and where."""

    page: Path
    """Replaced whole where it is there already."""
    excerpts: abx.Order | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What was made."""

    page: Path
    size_bytes: int
    excerpts: tuple[Path, ...]


def report_file(
    file: Path,
    order: Order,
    settings: Settings,
    studio: Studio,
    progress: Progress,
    *,
    wish: str | None = None,
) -> Made:
    """Report on what an upload of this file would become. Neither queue nor store is touched.

    Raises ``ConfigError`` where the page or the excerpts cannot be written, and what the line
    raises for an upload that fails.
    """
    _check(order)
    with _folder(settings) as folder, _told(progress, file.stem):
        binary = find_ffmpeg(settings.ffmpeg.path)
        supervisor = Supervisor(binary, folder, process_limits(settings.limits))
        encoder = open_encoder(settings.encoder, binary)
        bench = Workbench(settings, studio, supervisor, encoder, folder)
        gathered = gather_file(file, bench, progress, wish=wish)
        return _write(gathered, order, progress, file.stem)


def report_upload(
    row: UploadRow,
    store: ObjectStore,
    order: Order,
    settings: Settings,
    studio: Studio,
    progress: Progress,
) -> Made:
    """Report on what became of an upload. Queue and store are read, never written.

    Raises ``ConfigError`` where the page or the excerpts cannot be written,
    ``StoreUnavailable``, and ``RequestRefused`` where excerpts are asked of an upload that
    has none.
    """
    _check(order)
    with _folder(settings) as folder, _told(progress, row.file_name):
        supervisor = Supervisor(
            find_ffmpeg(settings.ffmpeg.path), folder, process_limits(settings.limits)
        )
        gathered = gather_upload(row, store, settings, studio, supervisor, folder, progress)
        return _write(gathered, order, progress, row.file_name)


def _check(order: Order) -> None:
    """Raise ``ConfigError`` before any work is done, where it could not be written."""
    check_target(order.page)
    if order.excerpts is not None:
        abx.check_folder(order.excerpts)


def _write(gathered: Gathered, order: Order, progress: Progress, name: str) -> Made:
    progress.stage(name, "draw")
    excerpts: tuple[Path, ...] = ()
    size = write_whole(order.page, page(gathered.data).encode("utf-8"))
    if order.excerpts is not None:
        progress.stage(name, "excerpts")
        excerpts = abx.write_excerpts(gathered, order.excerpts)
    return Made(order.page, size, excerpts)


@contextmanager
def _folder(settings: Settings) -> Iterator[Path]:
    """Yield a private folder with the room of the scratch folder, where there is one."""
    scratch = settings.scratch_folder()
    where = scratch if scratch.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="report-", dir=where) as folder:
        yield Path(folder)


@contextmanager
def _told(progress: Progress, name: str) -> Iterator[None]:
    try:
        yield
    finally:
        progress.finished(name)
