"""Commands about files: measured, judged, reported on, and the configuration checked."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audio_processor.cli.root import Exit, app
from audio_processor.cli.shared import (
    ConfigOption,
    JsonOption,
    LocalMasteringOption,
    checked,
    live_progress,
    log_as_set,
    print_json,
    processor_of,
    settings_of,
    the_console,
)

if TYPE_CHECKING:
    from audio_processor.settings import Settings


@app.command(rich_help_panel="Files")
def analyze(
    file: Annotated[Path, typer.Argument(help="Any audio file.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Measure any audio: integrated loudness, momentary and short-term maxima, LRA, true peak."""
    from audio_processor.analyze import analyze_file, facts_in_words
    from audio_processor.display import loudness_table

    found = analyze_file(checked(file), settings_of(config))
    if as_json:
        print_json({"file": str(file), **asdict(found)})
        return
    the_console().print(loudness_table(str(file), found.loudness, facts_in_words(found)))


@app.command(rich_help_panel="Files")
def validate(
    where: Annotated[str, typer.Argument(metavar="FOLDER|s3://…|http://…")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Judge any HLS ladder and m4a, ours or another's. Exit code 1 if it breaks a rule."""
    from audio_processor.display import report_tables
    from audio_processor.wiring import judge_ladder

    report = judge_ladder(where, settings_of(config))
    if as_json:
        print_json(asdict(report))
    else:
        console = the_console()
        for table in report_tables(report):
            console.print(table)
    raise typer.Exit(Exit.FINE if report.ok else Exit.FAILED)


@app.command(rich_help_panel="Files")
def report(
    what: Annotated[
        str,
        typer.Argument(
            metavar="UPLOAD|FILE",
            help="An upload's id or file name, or the path of any audio file. A path that exists "
            "is taken for the file.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The page; replaced if it is there.")
    ] = Path("report.html"),
    abx: Annotated[
        Path | None,
        typer.Option(
            "--abx",
            help="Also write excerpts to compare by ear into this folder, before and after at one "
            "loudness, named A and B; key.json tells which is which.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Draw A and B by this number.", show_default=False),
    ] = None,
    mastering: LocalMasteringOption = None,
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Write into an --abx folder that is not empty.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show on one page what became of an upload, or what would become of a file.

    Waveform, loudness, gain, spectrum and stereo image before and after, every delivered file in
    figures, and verdicts in words. A file is mastered and encoded as an upload would be, in a
    folder of its own; queue and store are only read.
    """
    from audio_processor.reporting import abx as excerpts
    from audio_processor.reporting.report import Order, report_file, report_upload
    from audio_processor.wiring import at_the_desk, open_studio

    order = Order(output, None if abx is None else excerpts.Order(abx, seed, replace=force))
    if Path(what).is_file():
        settings = at_the_desk(settings_of(config))
        log_as_set(settings, beside_progress=True)
        with live_progress() as progress:
            studio = open_studio(settings)
            made = report_file(Path(what), order, settings, studio, progress, wish=mastering)
    elif mastering is not None:
        raise typer.BadParameter(f"{what} is no file: an upload has been mastered already")
    else:
        with processor_of(config) as processor, live_progress() as progress:
            row, settings = processor.find(what), processor.settings
            studio = open_studio(settings)
            made = report_upload(row, processor.store, order, settings, studio, progress)
    for path in (made.page, *made.excerpts):
        typer.echo(path)


@app.command("check-config", rich_help_panel="Files")
def check_config(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check the configuration and show every setting, where it is from, secrets masked."""
    from audio_processor.display import settings_table
    from audio_processor.settings import load

    loaded = load(config)
    mastering = loaded.settings.mastering
    if mastering.presets or mastering.profiles:  # what they say takes the stages to check
        from audio_processor.wiring import open_studio

        open_studio(loaded.settings)
    encoder = _encoder_in_words(loaded.settings)
    if as_json:
        print_json(loaded.settings.redacted())
        return
    console = the_console()
    console.print(settings_table(loaded.settings.redacted(), loaded.origins))
    if encoder is not None:
        typer.echo(f"encoder: {encoder}")


def _encoder_in_words(settings: Settings) -> str | None:
    """Return which fdkaac it is, where one is asked for. Raises ``ConfigError`` for none."""
    if settings.encoder.name != "fdkaac":
        return None
    from audio_processor.media.binary import find_ffmpeg
    from audio_processor.media.fdkaac_binary import find_fdkaac

    found = find_fdkaac(settings.encoder.path, find_ffmpeg(settings.ffmpeg.path))
    return f"fdkaac {found.version} with libfdk-aac {found.libfdk_aac}, {found.path}"
