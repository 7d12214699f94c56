"""The program's root: its exit codes, its errors in sentences, and what stands before a command."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from audio_processor import __version__
from audio_processor.errors import (
    AudioProcessorError,
    ConfigError,
    DatabaseUnavailable,
    StoreUnavailable,
)
from audio_processor.hardening import harden


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


def main() -> None:
    """Run the command line: the console script's entry point."""
    harden()
    app()
