"""The page's tables: what was delivered, and what the mastering chain did."""

from __future__ import annotations

from audio_processor.model import LimitedBy, MatchFigures, StageFigures, TrackSummary
from audio_processor.reporting.cards import about, card, cell, kbit, khz, levels, row, size, table
from audio_processor.reporting.data import Delivered, ReportData
from audio_processor.reporting.markup import Markup
from audio_processor.reporting.verdicts import REASONS, signed

_LIMITED = "limited by"
_UNITS = {
    "db": " dB", "dbfs": " dBFS", "dbtp": " dBTP", "lufs": " LUFS", "lu": " LU", "hz": " Hz",
    "ms": " ms", "s": " s", "percent": " %",
}  # fmt: skip


def renditions(data: ReportData) -> Markup | None:
    """Return every delivered file in figures, the source above them."""
    if data.delivered is not None:
        return _delivered(data.delivered)
    return None if data.story.summary is None else _remembered(data.story.summary)


def _delivered(told: Delivered) -> Markup:
    source = row(
        "source",
        *levels(told.source_loudness),
        f"{told.source_duration_s:.3f}",
        khz(told.source.sample_rate_hz),
        kbit(told.source.bit_rate),
        size(told.source.size_bytes),
        "",
        class_="source",
    )
    files = [
        row(
            each.name,
            *levels(each.loudness),
            f"{each.duration_s:.3f}",
            khz(each.sample_rate_hz),
            kbit(each.bit_rate),
            size(each.size_bytes),
            str(each.encodes),
            last=_why(each.limited_by),
        )
        for each in told.files
    ]
    headings = ("file", "LUFS", "dBTP", "LRA LU", "length s", "rate", "kbit/s", "size", "encodes")
    return card(
        "renditions",
        "What was delivered",
        table(headings, [source, *files], last=_LIMITED),
        about(
            "Every file was decoded again after its encode, and measured: a rendition with the "
            "encoder's lead and tail, the m4a without. Bit rates are averages, those of "
            "renditions with their packaging. “Encodes” says how many were tried."
        ),
    )


def _remembered(summary: TrackSummary) -> Markup:
    """Return what the row itself keeps, where metadata.json is not to be had."""
    rows = [
        row(
            each.name,
            cell(each.integrated_lufs),
            cell(each.true_peak_dbtp),
            cell(each.range_lu),
            f"{each.duration_s:.3f}",
            kbit(each.average_bandwidth),
            str(each.candidates),
            last=_why(each.limited_by),
        )
        for each in summary.renditions
    ]
    headings = ("file", "LUFS", "dBTP", "LRA LU", "length s", "kbit/s", "encodes")
    return card(
        "renditions",
        "What was delivered",
        table(headings, rows, last=_LIMITED),
        about("From the upload's row."),
    )


def mastering(data: ReportData) -> Markup | None:
    """Return the chain's stages, what they were set to and what they did."""
    told = data.delivered.mastering if data.delivered else None
    if told is None:
        return None
    words = [told.reason] if told.reason else []
    if told.reference is not None:
        words.append(f"Matched to the reference {told.reference}{_matched(told.match)}.")
    if not told.stages:
        words.append("No stage was on: the sound was left as it came, but for its level.")
    headings = ("stage", "set to", "energy dB")
    rows = map(_stage, told.stages)
    return card(
        "mastering",
        f"Mastering: {told.preset}, version {told.preset_version}",
        about(" ".join(words)) if words else None,
        table(headings, rows, last="gain reduction", text={1}) if told.stages else None,
    )


def _matched(match: MatchFigures | None) -> str:
    """Return what the match did; nothing for an earlier document, which does not tell."""
    if match is None:
        return ""
    mid, side = (
        " to ".join(signed(gain_db, 1, plus=True) for gain_db in curve)
        for curve in (match.mid_db, match.side_db)
    )
    return f" (profile {match.profile_sha256}): mid {mid} dB, side {side} dB"


def _stage(stage: StageFigures) -> Markup:
    parameters = ", ".join(parameter(name, value) for name, value in stage.parameters.items())
    reductions = "; ".join(
        f"{each.band}: {each.deepest_db:.1f} dB at most, {each.mean_db:.1f} dB on average in "
        f"{100 * each.active_fraction:.0f} % of the time"
        for each in stage.reductions
    )
    added = stage.energy_added_db
    return row(
        stage.stage.replace("_", " "),
        parameters,
        "–" if added is None else signed(added, 2, plus=True),
        last=reductions or "–",
        class_="stage",
    )


def parameter(name: str, value: float) -> str:
    """Return a stage's parameter in words; its name ends in its unit."""
    words = name.split("_")
    unit = _UNITS.get(words[-1], "")
    label = " ".join(words[:-1] if unit else words)
    shown = f"{abs(value):.4g}" if abs(value) < 1000 else f"{abs(value):.0f}"
    return f"{label} {'−' if value < 0 else ''}{shown}{unit}"


def _why(limited_by: LimitedBy | None) -> str:
    return REASONS[limited_by] if limited_by else ""
