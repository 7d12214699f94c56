"""Commands about sound: presets, profiles, a local file mastered."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audio_processor.cli.root import app
from audio_processor.cli.shared import (
    ConfigOption,
    JsonOption,
    LocalMasteringOption,
    checked,
    live_progress,
    log_as_set,
    print_json,
    settings_of,
    the_console,
)

if TYPE_CHECKING:
    from audio_processor.display import LiveProgress
    from audio_processor.mastering.profile import Profile
    from audio_processor.settings import Settings

profile_app = typer.Typer(
    help="Build and show reference profiles.", no_args_is_help=True, rich_markup_mode="rich"
)
app.add_typer(profile_app, name="profile", rich_help_panel="Mastering")


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

    there = with_house(settings_of(config).mastering.presets)
    chosen = there.values() if name is None else [named(name, there)]
    if as_json:
        shown = [resolved(preset) for preset in chosen]
        print_json(shown if name is None else shown[0])
        return
    the_console().print(presets_table(chosen) if name is None else preset_table(*chosen))


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
    mastering: LocalMasteringOption = None,
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
        int | None,
        typer.Option(
            "--bit-depth", help="16 or 24 (dithered), else 24; 32 is float, wav only. No m4a's."
        ),
    ] = None,
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
    from audio_processor.display import data, mastered_tables
    from audio_processor.export import (
        LOCAL_REFERENCE,
        export_form,
        local_wish,
        master_file,
        names_of,
    )
    from audio_processor.wiring import at_the_desk, open_studio, with_targets

    if bit_depth is not None and target.suffix.lower() == ".m4a":
        raise typer.BadParameter(f"{target.name}: an m4a has no bit depth; leave out --bit-depth")
    form = export_form(24 if bit_depth is None else bit_depth, sample_rate)
    if target.exists() and not force:
        raise typer.BadParameter(f"{target} exists; give --force to overwrite it")
    if target.exists() and target.samefile(checked(file)):
        raise typer.BadParameter("the target is the source itself")
    settings = at_the_desk(settings_of(config))
    settings = with_targets(settings, integrated_lufs=lufs, true_peak_dbtp=ceiling)
    log_as_set(settings, beside_progress=True)
    wish = local_wish(preset, mastering, matched=bool(reference), strength_percent=strength)
    with live_progress() as progress:
        references = {}
        if reference:
            references = {
                LOCAL_REFERENCE: _heard([(r, 1.0) for r in reference], settings, progress)
            }
        studio = open_studio(settings, references, {LOCAL_REFERENCE: names_of(reference or [])})
        mastered = master_file(
            checked(file), target, settings, studio, wish=wish, form=form, progress=progress
        )
    if as_json:
        print_json(asdict(mastered))
        return
    for table in mastered_tables(mastered):
        the_console().print(table)
    for warning in mastered.warnings:
        the_console().print(f"[yellow]![/] {data(warning)}", highlight=False)


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
    from audio_processor.whole_file import check_target

    if target.exists() and not force:
        raise typer.BadParameter(f"{target} exists; give --force to overwrite it")
    check_target(target)
    settings = settings_of(config)
    log_as_set(settings, beside_progress=True)
    weighted = [_weighted(text) for text in files]
    with live_progress() as progress:
        found = _heard(weighted, settings, progress)
    write_profile(found, target)
    the_console().print(profile_table(str(target), found))


@profile_app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A stored profile, or any audio file.")],
    config: ConfigOption = None,
) -> None:
    """Show a profile's figures and its 1/3-octave spectrum."""
    from audio_processor.display import profile_table

    settings = settings_of(config)
    log_as_set(settings, beside_progress=True)
    with live_progress() as progress:
        found = _heard([(checked(file), 1.0)], settings, progress)
    the_console().print(profile_table(str(file), found))


def _heard(
    weighted: list[tuple[Path, float]], settings: Settings, progress: LiveProgress
) -> Profile:
    """Measure references, a bar for each."""
    from audio_processor.profiles import build_profile

    def told(file: Path) -> None:
        progress.stage(file.name, "measure")

    for file, _ in weighted:
        checked(file)
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
        share = float(weight)
    except ValueError:
        raise typer.BadParameter(f"{text}: {weight!r} is no weight, and no such file") from None
    if not 0.0 < share < math.inf:
        raise typer.BadParameter(f"{text}: a weight is a positive number")
    return Path(name), share
