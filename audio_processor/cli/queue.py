"""Commands that look at the queue, or mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from audio_processor.cli.root import Exit, app
from audio_processor.cli.shared import (
    ConfigOption,
    JsonOption,
    print_json,
    processor_of,
    the_console,
)
from audio_processor.errors import RequestRefused, SourceMissing


@app.command(rich_help_panel="Queue")
def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show how many tracks are pending, in work, completed and failed, and who holds which."""
    from audio_processor.display import status_tables

    with processor_of(config) as processor:
        report = processor.status()
    if as_json:
        print_json(asdict(report))
        return
    console = the_console()
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

    with processor_of(config) as processor:
        record = processor.find(upload)
    if as_json:
        print_json(asdict(record))
        return
    console = the_console()
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
    from audio_processor.display import one_line

    refused = 0
    with processor_of(config) as processor:
        chosen = processor.queue.failed_ids() if all_failed else (uploads or [])
        for upload in chosen:
            try:
                record = processor.retry(upload)
            except (RequestRefused, SourceMissing) as error:
                refused += 1
                typer.echo(f"{upload}: {error}", err=True)
            else:
                names = (record.upload_id, record.file_name)
                typer.echo("\t".join((*map(one_line, names), "pending")))
    raise typer.Exit(Exit.FAILED if refused else Exit.FINE)


@app.command(rich_help_panel="Queue")
def migrate(config: ConfigOption = None) -> None:
    """Create or upgrade the Uploads table; safe to run again and from many places at once."""
    with processor_of(config) as processor:
        before, after = processor.queue.migrate()
    typer.echo(f"schema: {before or 'none'} → {after}" if before != after else f"schema: {after}")
