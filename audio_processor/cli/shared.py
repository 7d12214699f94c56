"""What commands have in common: options, the way to a processor, and ways to show things."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from audio_processor.app import AudioProcessor
    from audio_processor.display import LiveProgress
    from audio_processor.settings import Settings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="TOML file; else $AUDIO_PROCESSOR_CONFIG, else ./audio-processor.toml if it exists.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
LocalMasteringOption = Annotated[
    str | None,
    typer.Option(
        "--mastering",
        "-m",
        help="A preset's name or JSON (docs/mastering.md) instead of what the configuration says.",
        show_default=False,
    ),
]
MasteringOption = Annotated[
    str | None,
    typer.Option(
        "--mastering",
        "-m",
        help="A preset's name or JSON, kept in the row; '' for what the configuration says.",
        show_default=False,
    ),
]


def settings_of(config: Path | None) -> Settings:
    """Return the settings as the file, the secrets and the environment say."""
    from audio_processor.settings import load_settings

    return load_settings(config)


def log_as_set(settings: Settings, *, beside_progress: bool = False) -> None:
    """Log as the settings say; beside progress bars only what a person must know."""
    from audio_processor.telemetry import configure_logging

    quiet = beside_progress and settings.logging.level == "INFO"
    level = "WARNING" if quiet else settings.logging.level
    configure_logging(settings.logging.format, level, secrets=settings.secrets())


@contextmanager
def processor_of(config: Path | None, *, show_progress: bool = False) -> Iterator[AudioProcessor]:
    """Yield the processor of the settings, its queue migrated where that is ours to do."""
    from audio_processor.app import AudioProcessor

    settings = settings_of(config)
    log_as_set(settings, beside_progress=show_progress)
    if not show_progress:
        with (
            AudioProcessor.from_settings(settings) as processor,
            _stopping_on_signals(processor),
        ):
            yield processor
        return
    from audio_processor.display import LiveProgress

    with (
        LiveProgress(the_console()) as progress,
        AudioProcessor.from_settings(settings, progress=progress) as processor,
        _stopping_on_signals(processor),
    ):
        yield processor


@contextmanager
def live_progress() -> Iterator[LiveProgress]:
    """Yield progress bars on stderr, so that what a command prints can be piped.

    Meanwhile SIGTERM ends the work as Ctrl-C does: nothing half-made stays behind.
    """
    from rich.console import Console

    from audio_processor.display import LiveProgress

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with LiveProgress(Console(stderr=True)) as progress:
            yield progress
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _stopping_on_signals(processor: AudioProcessor) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the work in order: see ``AudioProcessor.stop``.

    In a thread, because the handler runs inside whatever the main thread is doing, locks and all.
    """
    before = {}

    def stop(_signal: int, _frame: object) -> None:
        threading.Thread(target=processor.stop, name="stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_metrics(processor: AudioProcessor) -> None:
    """Write the metrics where the settings say, if they do: for commands that nobody scrapes."""
    from audio_processor.telemetry.metrics import leave

    if (path := processor.settings.metrics.textfile) is not None:
        try:
            leave(processor.metrics, path)
        except OSError as error:  # the tracks are done all the same
            typer.echo(f"audio-processor: metrics.textfile: {path}: {error.strerror}", err=True)


def the_console() -> Console:
    """Return what tables are printed on."""
    from rich.console import Console

    return Console()


def print_json(value: Any) -> None:
    """Print a value for a program to read."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    # JSON leaves these as they are, and a terminal takes them for commands
    typer.echo(re.sub(r"[\x7f-\x9f]", lambda c: f"\\u{ord(c[0]):04x}", text))


def checked(file: Path) -> Path:
    """Return the path of a file that is there, or end with exit code 2."""
    if not file.is_file():
        raise typer.BadParameter(f"{file} is not a file")
    return file
