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
    from audio_processor.display import LiveProgress
    from audio_processor.mastering.profile import Profile
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

profile_app = typer.Typer(
    help="Build and show reference profiles.", no_args_is_help=True, rich_markup_mode="rich"
)
app.add_typer(profile_app, name="profile", rich_help_panel="Mastering")

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
def _live() -> Iterator[LiveProgress]:
    """Yield progress bars on stderr, so that what a command prints can be piped."""
    from rich.console import Console

    from audio_processor.display import LiveProgress

    with LiveProgress(Console(stderr=True)) as progress:
        yield progress


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


@app.command(rich_help_panel="Mastering")
def master(
    file: Annotated[Path, typer.Argument(help="Any audio file.", show_default=False)],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT.(wav|flac|m4a)", help="What to write.", show_default=False),
    ],
    preset: Annotated[
        str | None,
        typer.Option("--preset", "-p", help="A preset's name (see presets), auto or off."),
    ] = None,
    mastering: MasteringOption = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference",
            "-r",
            help="Audio to match tone and width to, or a stored profile (.toml). Repeatable.",
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option("--strength", min=0, max=100, help="How far towards the reference, percent."),
    ] = None,
    lufs: Annotated[
        float | None, typer.Option("--lufs", help="Integrated loudness instead of the settings'.")
    ] = None,
    ceiling: Annotated[
        float | None, typer.Option("--ceiling", help="True-peak ceiling in dBTP, likewise.")
    ] = None,
    bit_depth: Annotated[
        int, typer.Option("--bit-depth", help="16 or 24 (dithered); 32 is float, wav only.")
    ] = 24,
    sample_rate: Annotated[
        int | None,
        typer.Option("--sample-rate", min=8000, max=384_000, help="Hz; else the source's own."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite the target.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Master a local file: chain, loudness, limiter, dither; measured once it is written.

    The same steps that an upload takes, without queue and store.
    """
    from audio_processor.display import mastered_tables
    from audio_processor.export import LOCAL_REFERENCE, export_form, local_wish, master_file
    from audio_processor.wiring import open_studio, with_targets

    form = export_form(bit_depth, sample_rate)
    if target.exists() and not force:
        raise typer.BadParameter(f"{target} exists; give --force to overwrite it")
    if target.exists() and target.samefile(_checked(file)):
        raise typer.BadParameter("the target is the source itself")
    settings = with_targets(_settings(config), integrated_lufs=lufs, true_peak_dbtp=ceiling)
    _configure_logging(settings, beside_progress=True)
    wish = local_wish(preset, mastering, matched=bool(reference), strength_percent=strength)
    with _live() as progress:
        references = {}
        if reference:
            references = {
                LOCAL_REFERENCE: _heard([(r, 1.0) for r in reference], settings, progress)
            }
        studio = open_studio(settings, references)
        mastered = master_file(
            _checked(file), target, settings, studio, wish=wish, form=form, progress=progress
        )
    if as_json:
        _print_json(asdict(mastered))
        return
    for table in mastered_tables(mastered):
        _console().print(table)
    for warning in mastered.warnings:
        _console().print(f"[yellow]![/] {warning}", highlight=False)


@profile_app.command("build")
def build(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="REF[=WEIGHT]...", help="Audio files, each with a weight if you like: a.flac=2"
        ),
    ],
    target: Annotated[
        Path, typer.Option("--output", "-o", help="The profile to write.", show_default=False)
    ],
    force: Annotated[bool, typer.Option("--force", "-f", help="Overwrite it.")] = False,
    config: ConfigOption = None,
) -> None:
    """Measure references and store what tracks are to be matched to.

    Name the file in mastering.profiles, and uploads may ask for it; or give it to master
    --reference.
    """
    from audio_processor.display import profile_table
    from audio_processor.profiles import write_profile

    if target.exists() and not force:
        raise typer.BadParameter(f"{target} exists; give --force to overwrite it")
    settings = _settings(config)
    _configure_logging(settings, beside_progress=True)
    weighted = [_weighted(text) for text in files]
    with _live() as progress:
        found = _heard(weighted, settings, progress)
    write_profile(found, target)
    _console().print(profile_table(str(target), found))


@profile_app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A stored profile, or any audio file.")],
    config: ConfigOption = None,
) -> None:
    """Show a profile's figures and its 1/3-octave spectrum."""
    from audio_processor.display import profile_table

    settings = _settings(config)
    _configure_logging(settings, beside_progress=True)
    with _live() as progress:
        found = _heard([(_checked(file), 1.0)], settings, progress)
    _console().print(profile_table(str(file), found))


def _heard(
    weighted: list[tuple[Path, float]], settings: Settings, progress: LiveProgress
) -> Profile:
    """Measure references, a bar for each."""
    from audio_processor.profiles import build_profile

    def told(file: Path) -> None:
        progress.stage(file.name, "measure")

    for file, _ in weighted:
        _checked(file)
    try:
        return build_profile(weighted, settings, told)
    finally:
        for file, _ in weighted:
            progress.finished(file.name)


def _weighted(text: str) -> tuple[Path, float]:
    """Read ``FILE`` or ``FILE=WEIGHT``; a file whose very name is the text comes first."""
    name, separator, weight = text.rpartition("=")
    if not separator or Path(text).is_file():
        return Path(text), 1.0
    try:
        return Path(name), float(weight)
    except ValueError:
        raise typer.BadParameter(f"{text}: {weight!r} is no weight, and no such file") from None


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
    mastering: MasteringOption = None,
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
    from audio_processor.wiring import open_studio

    order = Order(output, None if abx is None else excerpts.Order(abx, seed, replace=force))
    if Path(what).is_file():
        settings = _settings(config)
        _configure_logging(settings, beside_progress=True)
        with _live() as progress:
            studio = open_studio(settings)
            made = report_file(Path(what), order, settings, studio, progress, wish=mastering)
    elif mastering is not None:
        raise typer.BadParameter(f"{what} is no file: an upload has been mastered already")
    else:
        with _processor(config) as processor, _live() as progress:
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
