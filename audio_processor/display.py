"""What a person sees on the terminal: live progress and tables. No decisions here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from audio_processor.mastering.parameters import parameters
from audio_processor.model import PENDING, Loudness, Mastering, TrackSummary

if TYPE_CHECKING:
    from audio_processor.delivery.report import Report
    from audio_processor.export import Mastered
    from audio_processor.mastering.preset import Preset
    from audio_processor.mastering.profile import Profile
    from uploads_queue.records import QueueStatus, UploadRecord

_SPECTRUM_DB = 60.0
"""How far down a spectrum's bars reach."""


class LiveProgress:
    """The ``Progress`` port as rich bars: a line for each stage of each track, as it comes.

    Where the console is no terminal only the finished stages are printed, a line each.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.fields[track]}", style="bold", table_column=None),
            TextColumn("{task.description}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
        )
        self._current: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def stage(self, track_id: str, stage: str) -> None:
        """Finish the track's last bar and start the next."""
        self._finish(track_id)
        self._current[track_id] = self._bars.add_task(stage, total=1.0, track=data(track_id, 28))

    def advance(self, track_id: str, fraction: float) -> None:
        """Move the current bar."""
        if track_id in self._current:
            self._bars.update(self._current[track_id], completed=fraction)

    def finished(self, track_id: str) -> None:
        """Finish the last bar."""
        self._finish(track_id)

    def _finish(self, track_id: str) -> None:
        task = self._current.pop(track_id, None)
        if task is not None:
            self._bars.update(task, completed=1.0)


def track_table(summary: TrackSummary) -> Table:
    """Source and every delivered file, each as measured."""
    table = Table(title=f"{data(summary.track_id)}: {summary.plan_mode}, {summary.gain_db:+.2f} dB")
    table.add_column("file")
    for heading in ("LUFS", "true peak dBTP", "LRA LU", "duration s", "kbit/s", "encodes"):
        table.add_column(heading, justify="right")
    table.add_column("limited by")
    table.add_row("source", *_levels(summary.source), f"{summary.duration_s:.3f}", "", "", "")
    for rendition in summary.renditions:
        table.add_row(
            data(rendition.name),
            level(rendition.integrated_lufs),
            level(rendition.true_peak_dbtp),
            level(rendition.range_lu, signed=False),
            f"{rendition.duration_s:.3f}",
            f"{rendition.average_bandwidth / 1000:.1f}",
            str(rendition.candidates),
            data(rendition.limited_by or ""),
        )
    return table


def mastered_tables(mastered: Mastered) -> Iterator[Table]:
    """What was done to a local file, stage by stage, and what it measures before and after."""
    mastering, plan = mastered.mastering, mastered.plan
    table = Table(
        title=f"{data(mastered.target.name)}: {mastering.preset} {mastering.preset_version}, "
        f"{plan.mode}, {plan.gain_db:+.2f} dB"
    )
    table.add_column("")
    for heading in ("LUFS", "true peak dBTP", "LRA LU"):
        table.add_column(heading, justify="right")
    table.add_row("source", *_levels(mastered.source)[:3])
    table.add_row("written", *_levels(mastered.delivered)[:3])
    if mastering.reason:
        table.caption = data(mastering.reason)
    yield table
    if mastering.stages:
        yield stages_table(mastering)


def stages_table(mastering: Mastering) -> Table:
    """What each stage of the chain did."""
    table = Table(title="Mastering chain")
    table.add_column("stage")
    table.add_column("energy added dB", justify="right")
    table.add_column("gain reduction")
    for stage in mastering.stages:
        reductions = ", ".join(
            f"{band.band} {band.deepest_db:.1f} dB at most, {band.mean_db:.1f} on average "
            f"({band.active_fraction:.0%} of the time)"
            for band in stage.reductions
            if band.deepest_db > 0.0
        )
        table.add_row(stage.stage, level(stage.energy_added_db), reductions)
    if mastering.match is not None and mastering.reference is not None:
        (mid_low, mid_high), (side_low, side_high) = mastering.match.mid_db, mastering.match.side_db
        table.caption = (
            f"Matched to {data(mastering.reference)}: mid {mid_low:+.1f} to {mid_high:+.1f} dB, "
            f"side {side_low:+.1f} to {side_high:+.1f} dB"
        )
    return table


def profile_table(title: str, profile: Profile) -> Table:
    """A reference's figures, then its 1/3-octave spectra as bars."""
    from audio_processor.mastering.profile import THIRD_OCTAVES_HZ, third_octave_db

    loudness = profile.loudness
    table = Table(
        title=data(title),
        caption=f"{profile.duration_s:.0f} s, {level(loudness.integrated_lufs)} LUFS, peaks "
        f"{level(profile.crest_db)} dB above it, LRA {level(loudness.range_lu, signed=False)} LU, "
        f"correlation {level(profile.correlation)}",
    )
    table.add_column("Hz", justify="right")
    table.add_column("mid dB", justify="right")
    table.add_column("")
    bands = third_octave_db(profile)
    top = max((float(band) for band in bands if band > -math.inf), default=0.0)
    for hz, band in zip(THIRD_OCTAVES_HZ, bands, strict=True):
        found = float(band)
        bar = "█" * max(0, round((found - top + _SPECTRUM_DB) / 2)) if found > -math.inf else ""
        table.add_row(f"{hz:.0f}", level(found) if bar or found > -math.inf else "–", bar)
    return table


def loudness_table(title: str, loudness: Loudness, facts: Mapping[str, str]) -> Table:
    """One file's measurements, standard by standard."""
    table = Table(title=data(title), show_header=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    rows = (
        ("integrated", loudness.integrated_lufs, "LUFS"),
        ("momentary max", loudness.momentary_max_lufs, "LUFS"),
        ("short-term max", loudness.short_term_max_lufs, "LUFS"),
        ("loudness range", loudness.range_lu, "LU"),
        ("true peak", loudness.true_peak_dbtp, "dBTP"),
        ("sample peak", loudness.sample_peak_dbfs, "dBFS"),
    )
    for name, value, unit in rows:
        table.add_row(name, f"{level(value, signed=unit != 'LU')} {unit}")
    for name, text in facts.items():
        table.add_row(name, text)
    return table


def status_tables(status: QueueStatus) -> Iterator[Table]:
    """The queue in figures, then who holds what."""
    counts = status.counts
    table = Table(title="Queue", show_header=False)
    table.add_column("state")
    table.add_column("tracks", justify="right")
    table.add_column("note")
    backing_off = f"{counts.backing_off} backing off" if counts.backing_off else ""
    stuck = [
        f"{count} {what}"
        for count, what in ((counts.expired, "expired"), (counts.unleased, "without a lease"))
        if count
    ]
    table.add_row("pending", str(counts.pending), backing_off)
    table.add_row("processing", str(counts.processing), ", ".join(stuck))
    table.add_row("completed", str(counts.completed), "")
    table.add_row("failed", str(counts.failed), "")
    if status.oldest_pending_age_s is not None:
        table.add_row("oldest pending", duration(status.oldest_pending_age_s), "")
    yield table
    if status.leases:
        leases = Table(title="In work")
        for heading in ("worker", "upload", "file", "attempt", "lease left"):
            leases.add_column(heading)
        for lease in status.leases:
            left = "–" if lease.remaining_s is None else duration(lease.remaining_s)
            leases.add_row(
                data(lease.worker_id or "–"),
                data(lease.upload_id),
                data(lease.file_name),
                str(lease.attempt),
                left,
            )
        yield leases


def record_tables(record: UploadRecord) -> Iterator[Table]:
    """An upload's whole story: the row, its attempts, what was measured."""
    row = Table(title=data(record.file_name), show_header=False)
    row.add_column("field")
    row.add_column("value", overflow="fold")
    state = "pending" if record.status == PENDING else str(record.status)
    if record.wait_s > 0:
        state += f", not before {duration(record.wait_s)} from now"
    fields = {
        "upload": record.upload_id,
        "state": state,
        "uploaded": _time(record.uploaded_at),
        "attempts": str(record.attempts),
        "started": _time(record.started_at),
        "completed": _time(record.completed_at),
        "error": f"{record.error_code}: {record.error_message}" if record.error_message else "",
        "mastering": one_line(record.mastering or "", 400),
        "output": record.output_key or "",
    }
    for name, value in fields.items():
        if value:
            row.add_row(name, data(value))
    yield row
    if record.history:
        attempts = Table(title="Attempts")
        for heading in ("#", "worker", "started", "ended", "outcome", "error"):
            attempts.add_column(heading)
        for attempt in record.history:
            attempts.add_row(
                str(attempt.number),
                data(attempt.worker_id),
                _time(attempt.started_at),
                _time(attempt.ended_at),
                data(attempt.outcome),
                data(f"{attempt.error_code}: {attempt.error_message}")
                if attempt.error_code
                else "",
            )
        yield attempts
    if record.summary is not None:
        yield track_table(record.summary)


def presets_table(presets: Iterable[Preset]) -> Table:
    """Every preset: what it is for and which stages are on."""
    table = Table(title="Mastering presets")
    table.add_column("preset", no_wrap=True)
    table.add_column("version", justify="right")
    table.add_column("for")
    table.add_column("stages", style="dim")
    for preset in presets:
        stages = " ".join(stage.name for stage in preset.stages)
        table.add_row(preset.name, str(preset.version), data(preset.about), stages)
    table.add_row("auto", "", "Chosen for each track by its sound; metadata.json says why.", "")
    return table


def preset_table(preset: Preset) -> Table:
    """One preset with every parameter of its stages."""
    about = f"\n{preset.about}" if preset.about else ""
    table = Table(title=escape(f"{preset.name}, version {preset.version}{about}"))
    table.add_column("stage")
    table.add_column("parameter")
    table.add_column("value", justify="right")
    table.add_column("range", justify="right", style="dim")
    for stage in preset.stages:
        heading = stage.name
        for field, allowed in parameters(stage):
            span = str(allowed) if allowed.only else f"{allowed.low:g} … {allowed.high:g}"
            table.add_row(heading, field.name, f"{getattr(stage, field.name):g}", span)
            heading = ""
    return table


def report_tables(report: Report) -> Iterator[Table]:
    """The verdict on a ladder: what was measured, then every finding."""
    table = Table(title=data(report.location))
    table.add_column("rendition")
    for heading in ("LUFS", "true peak dBTP", "LRA LU", "s", "kbit/s peak", "mean", "offset ms"):
        table.add_column(heading, justify="right")
    for rendition in report.renditions:
        levels = _levels(rendition.loudness) if rendition.loudness else ("–", "–", "–")
        table.add_row(
            data(rendition.name),
            *levels,
            _figure(rendition.duration_s, 3),
            _figure(rendition.bandwidth, 1, 1000),
            _figure(rendition.average_bandwidth, 1, 1000),
            _figure(rendition.offset_ms, 3),
        )
    yield table
    verdict = Table(title="valid" if report.ok else "not valid")
    for heading in ("", "rule", "where", "finding"):
        verdict.add_column(heading, overflow="fold")
    for finding in report.findings:
        style = {"error": "red", "warning": "yellow"}.get(finding.severity, "dim")
        verdict.add_row(
            finding.severity, finding.rule, data(finding.where), data(finding.message), style=style
        )
    yield verdict


def settings_table(values: Mapping[str, Any], origins: Mapping[str, str]) -> Table:
    """Every setting, its value and where it was given; defaults are dim."""
    table = Table(title="Configuration")
    for heading in ("key", "value", "from"):
        table.add_column(heading, overflow="fold")
    for key, value in _flat(values):
        origin = origins.get(key, "")
        table.add_row(
            key, data(str(value)), data(origin or "default"), style="" if origin else "dim"
        )
    return table


def data(text: str, limit: int = 4000) -> str:
    """Return what others have written, for a console: one line, no controls, no markup."""
    return escape(one_line(text, limit))


def one_line(text: str, limit: int = 4000) -> str:
    """Return what others have written, for a terminal: a name can hold its control sequences."""
    shown = text if text.isprintable() else repr(text)[1:-1]
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def duration(seconds: float) -> str:
    """Return a duration as people say it: 41 s, 12 min, 3.5 h, 2.1 d."""
    sign, size = ("-" if seconds < 0 else ""), abs(seconds)
    for unit, length, limit in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 172800)):
        if size < limit:
            return f"{sign}{size / length:.{0 if unit != 'h' else 1}f} {unit}"
    return f"{sign}{size / 86400:.1f} d"


def level(value: float | None, *, signed: bool = True) -> str:
    """Return a level with two decimals; −∞ for one that does not exist."""
    if value is None:
        return "−∞" if signed else "–"
    return f"{value:+.2f}" if signed else f"{value:.2f}"


def _levels(loudness: Loudness) -> tuple[str, str, str]:
    return (
        level(loudness.integrated_lufs),
        level(loudness.true_peak_dbtp),
        level(loudness.range_lu, signed=False),
    )


def _figure(value: float | None, digits: int, divisor: float = 1) -> str:
    return "–" if value is None else f"{value / divisor:.{digits}f}"


def _time(when: datetime | None) -> str:
    return "" if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
