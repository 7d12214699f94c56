"""The command line: each command reads its arguments, calls the library, shows the answer.

Exit codes: 0 fine · 1 some tracks failed, or what was judged is not valid · 2 configuration
or usage · 3 the database or the store could not be reached.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from audio_processor import __version__
from audio_processor.errors import (
    AudioProcessorError,
    ConfigError,
    DatabaseUnavailable,
    RequestRefused,
    SourceMissing,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from rich.console import Console

    from audio_processor.app import AudioProcessor
    from audio_processor.settings import Settings


class Exit(IntEnum):
    """What a caller's shell sees."""

    FINE = 0
    FAILED = 1
    CONFIGURATION = 2
    UNREACHABLE = 3


class _Explained(TyperGroup):
    """Turns the library's errors into a sentence on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it raises from our tree is the user's to mend, not a traceback."""
        try:
            return super().invoke(ctx)
        except AudioProcessorError as error:
            typer.echo(f"audio-processor: {error}", err=True)
            raise typer.Exit(_exit_code(error)) from None


def _exit_code(error: AudioProcessorError) -> Exit:
    match error:
        case ConfigError():
            return Exit.CONFIGURATION
        case DatabaseUnavailable() | StoreUnavailable():
            return Exit.UNREACHABLE
        case _:
            return Exit.FAILED


app = typer.Typer(
    name="audio-processor",
    cls=_Explained,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=(
        "Audio ingest: claims uploads, masters and normalises them to EBU R128, publishes an "
        "AAC m4a and an HLS ladder.\n\n"
        "With no configuration it works on SQLite and a folder under ./data.\n\n"
        "Exit codes: 0 fine, 1 some tracks failed or are invalid, 2 configuration or usage, "
        "3 a service was unreachable."
    ),
)

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
MasteringOption = Annotated[
    str | None,
    typer.Option(
        "--mastering",
        "-m",
        help="A preset's name or JSON, kept in the row; '' for what the configuration says.",
        show_default=False,
    ),
]


# ── shared by the commands ───────────────────────────────────────────────────────────────


def _settings(config: Path | None) -> Settings:
    from audio_processor.settings import load_settings

    return load_settings(config)


def _configure_logging(settings: Settings, *, beside_progress: bool = False) -> None:
    """Log as the settings say; beside progress bars only what a person must know."""
    from audio_processor.telemetry import configure_logging

    quiet = beside_progress and settings.logging.level == "INFO"
    level = "WARNING" if quiet else settings.logging.level
    configure_logging(settings.logging.format, level, secrets=settings.secrets())


@contextmanager
def _processor(config: Path | None, *, show_progress: bool = False) -> Iterator[AudioProcessor]:
    """Yield the processor of the settings, its queue migrated where that is ours to do."""
    from audio_processor.app import AudioProcessor

    settings = _settings(config)
    _configure_logging(settings, beside_progress=show_progress)
    if not show_progress:
        with (
            AudioProcessor.from_settings(settings) as processor,
            _stopping_on_signals(processor),
        ):
            yield processor
        return
    from audio_processor.display import LiveProgress

    with (
        LiveProgress(_console()) as progress,
        AudioProcessor.from_settings(settings, progress=progress) as processor,
        _stopping_on_signals(processor),
    ):
        yield processor


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


def _console() -> Console:
    from rich.console import Console

    return Console()


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _show_version(value: bool) -> None:  # Typer's callback signature
    if value:
        typer.echo(f"audio-processor {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


# ── work ─────────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel="Work")
def run(config: ConfigOption = None) -> None:
    """Run the daemon: claim and process until SIGTERM.

    The first SIGTERM or SIGINT claims nothing more and lets running tracks finish, for
    worker.drain_timeout_s at most; the second hands them back at once.
    """
    from audio_processor.health import serve_health

    with _processor(config) as processor, processor.worker() as worker:
        health = processor.settings.worker
        with serve_health(
            worker, processor.metrics, host=health.health_host, port=health.health_port
        ):
            worker.run()


@app.command(rich_help_panel="Work")
def once(config: ConfigOption = None) -> None:
    """Process what is pending now and end: for cron. Exit code 1 if a track did not complete.

    SIGTERM and SIGINT as for run.
    """
    with _processor(config, show_progress=_console().is_terminal) as processor:
        successful, failed = processor.process_pending_tracks()
    typer.echo(f"{successful} completed, {failed} not completed")
    raise typer.Exit(Exit.FAILED if failed else Exit.FINE)


@app.command(rich_help_panel="Work")
def process(file_name: Annotated[str, typer.Argument(help="The upload's file name.")],
            config: ConfigOption = None) -> None:  # fmt: skip
    """Follow one track to its end; without a row one is made if the raw object exists."""
    with _processor(config, show_progress=_console().is_terminal) as processor:
        completed = processor.process_audio(file_name)
        if not completed:
            typer.echo(_why_not(processor, file_name), err=True)
    raise typer.Exit(Exit.FINE if completed else Exit.FAILED)


@app.command(rich_help_panel="Work")
def ingest(
    file: Annotated[
        Path | None,
        typer.Argument(help="Any audio file; a demo track is rendered if none is given."),
    ] = None,
    mastering: MasteringOption = None,
    config: ConfigOption = None,
) -> None:
    """Enqueue one file, follow it to its end and show what was delivered."""
    from audio_processor.display import track_table
    from audio_processor.model import PENDING, PROCESSING

    with _processor(config, show_progress=True) as processor:
        source = _checked(file) if file is not None else _demo(processor.settings)
        record = processor.queue.find_by_file_name(source.name)
        is_open = record is not None and record.status in {PENDING, PROCESSING}
        asks_otherwise = record is not None and mastering not in {None, record.mastering}
        if not is_open or asks_otherwise:
            processor.enqueue(source, replace=True, mastering=mastering)
        completed = processor.process_audio(source.name)
        record = processor.queue.find_by_file_name(source.name)
        where = processor.output_of(source.name)
    if not completed or record is None or record.summary is None:
        typer.echo(
            f"audio-processor: {source.name}: {record.error_message if record else ''}", err=True
        )
        raise typer.Exit(Exit.FAILED)
    console = _console()
    console.print(track_table(record.summary))
    for warning in record.summary.warnings:
        console.print(f"[yellow]![/] {warning}", highlight=False)
    console.print(f"output: {where}", soft_wrap=True, highlight=False)


@app.command(rich_help_panel="Work")
def enqueue(
    files: Annotated[list[Path], typer.Argument(help="Audio files.", show_default=False)],
    replace: Annotated[
        bool, typer.Option("--replace", help="Process again what has ended under that file name.")
    ] = False,
    mastering: MasteringOption = None,
    config: ConfigOption = None,
) -> None:
    """Upload files under the raw prefix and insert their rows."""
    with _processor(config) as processor:
        for file in [_checked(file) for file in files]:
            upload_id = processor.enqueue(file, replace=replace, mastering=mastering)
            typer.echo(f"{upload_id}\t{file.name}")


# ── the queue ────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel="Queue")
def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show how many tracks are pending, in work, completed and failed, and who holds which."""
    from audio_processor.display import status_tables

    with _processor(config) as processor:
        report = processor.status()
    if as_json:
        _print_json(asdict(report))
        return
    console = _console()
    for table in status_tables(report):
        console.print(table)


@app.command(rich_help_panel="Queue")
def explain(
    upload: Annotated[str, typer.Argument(help="Upload id or file name.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tell an upload's whole story: its attempts, its errors and what was measured."""
    from audio_processor.display import record_tables

    with _processor(config) as processor:
        record = processor.find(upload)
    if as_json:
        _print_json(asdict(record))
        return
    console = _console()
    for table in record_tables(record):
        console.print(table)


@app.command(rich_help_panel="Queue")
def retry(
    uploads: Annotated[list[str] | None, typer.Argument(help="Upload ids or file names.")] = None,
    all_failed: Annotated[
        bool, typer.Option("--all-failed", help="Every upload that has failed.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Make failed uploads pending again, their raw objects back under the raw prefix."""
    if bool(uploads) == all_failed:
        raise typer.BadParameter("name uploads, or give --all-failed")
    refused = 0
    with _processor(config) as processor:
        chosen = processor.queue.failed_ids() if all_failed else (uploads or [])
        for upload in chosen:
            try:
                record = processor.retry(upload)
            except (RequestRefused, SourceMissing) as error:
                refused += 1
                typer.echo(f"{upload}: {error}", err=True)
            else:
                typer.echo(f"{record.upload_id}\t{record.file_name}\tpending")
    raise typer.Exit(Exit.FAILED if refused else Exit.FINE)


@app.command(rich_help_panel="Queue")
def migrate(config: ConfigOption = None) -> None:
    """Create or upgrade the Uploads table; safe to run again and from many places at once."""
    with _processor(config) as processor:
        before, after = processor.queue.migrate()
    typer.echo(f"schema: {before or 'none'} → {after}" if before != after else f"schema: {after}")


# ── mastering ────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel="Mastering")
def presets(
    name: Annotated[
        str | None, typer.Argument(help="Show this one, with every parameter.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the mastering presets, the house's own too, or show what one of them sets."""
    from audio_processor.display import preset_table, presets_table
    from audio_processor.mastering.preset import named, resolved, with_house

    there = with_house(_settings(config).mastering.presets)
    chosen = there.values() if name is None else [named(name, there)]
    if as_json:
        shown = [resolved(preset) for preset in chosen]
        _print_json(shown if name is None else shown[0])
        return
    _console().print(presets_table(chosen) if name is None else preset_table(*chosen))


# ── files ────────────────────────────────────────────────────────────────────────────────


@app.command(rich_help_panel="Files")
def analyze(
    file: Annotated[Path, typer.Argument(help="Any audio file.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Measure any audio: integrated loudness, momentary and short-term maxima, LRA, true peak."""
    from audio_processor.analyze import analyze_file, facts_in_words
    from audio_processor.display import loudness_table

    found = analyze_file(_checked(file), _settings(config))
    if as_json:
        _print_json({"file": str(file), **asdict(found)})
        return
    _console().print(loudness_table(str(file), found.loudness, facts_in_words(found)))


@app.command(rich_help_panel="Files")
def validate(
    where: Annotated[str, typer.Argument(metavar="FOLDER|s3://…|http://…")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Judge any HLS ladder and m4a, ours or another's. Exit code 1 if it breaks a rule."""
    from audio_processor.display import report_tables
    from audio_processor.wiring import judge_ladder

    report = judge_ladder(where, _settings(config))
    if as_json:
        _print_json(asdict(report))
    else:
        console = _console()
        for table in report_tables(report):
            console.print(table)
    raise typer.Exit(Exit.FINE if report.ok else Exit.FAILED)


@app.command("check-config", rich_help_panel="Files")
def check_config(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check the configuration and show every setting, where it is from, secrets masked."""
    from audio_processor.display import settings_table
    from audio_processor.settings import load

    loaded = load(config)
    if house := loaded.settings.mastering.presets:  # what they say takes the stages to check
        from audio_processor.mastering.preset import with_house

        with_house(house)
    if as_json:
        _print_json(loaded.settings.redacted())
        return
    console = _console()
    console.print(settings_table(loaded.settings.redacted(), loaded.origins))


def _checked(file: Path) -> Path:
    if not file.is_file():
        raise typer.BadParameter(f"{file} is not a file")
    return file


def _demo(settings: Settings) -> Path:
    """Render the demo track once, beside the embedded store."""
    from audio_processor.demo import render_demo

    target = settings.scratch_folder().parent / "demo" / "demo.wav"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        render_demo(target)
    return target


def _why_not(processor: AudioProcessor, file_name: str) -> str:
    record = processor.queue.find_by_file_name(file_name)
    if record is None:
        return f"audio-processor: {file_name}: no row, and no raw object of that name"
    return f"audio-processor: {file_name}: {record.error_message}"


def main() -> None:
    """Run the command line: the console script's entry point."""
    app()
