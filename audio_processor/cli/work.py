"""Commands that process tracks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audio_processor.cli.root import Exit, app
from audio_processor.cli.shared import (
    ConfigOption,
    MasteringOption,
    checked,
    leave_metrics,
    processor_of,
    the_console,
)

if TYPE_CHECKING:
    from audio_processor.app import AudioProcessor
    from audio_processor.settings import Settings


@app.command(rich_help_panel="Work")
def run(config: ConfigOption = None) -> None:
    """Run the daemon: claim and process until SIGTERM.

    The first SIGTERM or SIGINT claims nothing more and lets running tracks finish, for
    worker.drain_timeout_s at most; the second hands them back at once.
    """
    from audio_processor.health import serve_health

    with processor_of(config) as processor, processor.worker() as worker:
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
    with processor_of(config, show_progress=the_console().is_terminal) as processor:
        successful, failed = processor.process_pending_tracks()
        leave_metrics(processor)
    typer.echo(f"{successful} completed, {failed} not completed")
    raise typer.Exit(Exit.FAILED if failed else Exit.FINE)


@app.command(rich_help_panel="Work")
def process(file_name: Annotated[str, typer.Argument(help="The upload's file name.")],
            config: ConfigOption = None) -> None:  # fmt: skip
    """Follow one track to its end; without a row one is made if the raw object exists."""
    with processor_of(config, show_progress=the_console().is_terminal) as processor:
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
    from audio_processor.display import data, track_table
    from audio_processor.model import PENDING, PROCESSING

    with processor_of(config, show_progress=True) as processor:
        source = checked(file) if file is not None else _demo(processor.settings)
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
    console = the_console()
    console.print(track_table(record.summary))
    for warning in record.summary.warnings:
        console.print(f"[yellow]![/] {data(warning)}", highlight=False)
    console.print(f"output: {data(where)}", soft_wrap=True, highlight=False)


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
    with processor_of(config) as processor:
        for file in [checked(file) for file in files]:
            upload_id = processor.enqueue(file, replace=replace, mastering=mastering)
            typer.echo(f"{upload_id}\t{file.name}")


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
