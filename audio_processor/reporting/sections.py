"""The page's sections: each from the report's data to a card, or None where there is nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audio_processor.model import Loudness
from audio_processor.reporting.cards import (
    MODES,
    card,
    facts,
    kbit,
    khz,
    length,
    moment,
    size,
    table,
)
from audio_processor.reporting.data import ReportData
from audio_processor.reporting.markup import Markup, element, group
from audio_processor.reporting.verdicts import Verdict, signed

STATUS = {
    "0": "waiting",
    "processing": "in work",
    "completed": "completed",
    "failed": "failed",
    "file": "a file, mastered as an upload would be",
}
# ── top ──────────────────────────────────────────────────────────────────────────────────


def header(data: ReportData) -> Markup:
    """Return the title, who it is by, and where it stands."""
    tags = data.source.tags if data.source else {}
    by = " · ".join(tags[name] for name in ("artist", "album", "date") if tags.get(name))
    file_name = data.source.file_name if data.source else None
    status = data.story.status
    kind = {"completed": "pass", "failed": "failed"}.get(status, "plain")
    return element(
        "header",
        element("p", "Audio report", class_="eyebrow"),
        element("h1", element("bdi", data.title)),
        element("p", element("bdi", by), class_="by") if by else None,
        element(
            "p",
            element("span", STATUS.get(status, status), class_=f"pill {kind}"),
            element("bdi", file_name) if file_name and file_name != data.title else None,
            class_="by",
        ),
        class_="top",
    )


def failure(data: ReportData) -> Markup | None:
    """Return why an upload failed."""
    story = data.story
    if not story.error_message and not story.error_code:
        return None
    heading = "Why it failed" if story.status == "failed" else "The last attempt's error"
    return card(
        "failure",
        heading,
        element("p", story.error_message or "No reason was recorded."),
        element("p", "Error code: ", element("code", story.error_code or "–"), class_="about"),
        class_="alarm" if story.status == "failed" else "",
    )


def tiles(data: ReportData) -> Markup | None:
    """Return the figures that most look for first, after and before."""
    before = data.before.loudness if data.before else None
    if before is None and data.delivered is not None:
        before = data.delivered.source_loudness
    after = _after_loudness(data)
    shown = list(_tiles(data, before, after))
    return element("dl", shown, class_="tiles") if shown else None


def _tiles(data: ReportData, before: Loudness | None, after: Loudness | None) -> Iterator[Markup]:
    if before is not None or after is not None:
        for name, unit, figure in (
            ("Integrated loudness", "LUFS", "integrated_lufs"),
            ("True peak", "dBTP", "true_peak_dbtp"),
            ("Loudness range", "LU", "range_lu"),
        ):
            earlier, later = (getattr(each, figure, None) for each in (before, after))
            yield _level_tile(name, unit, earlier, later, has_after=after is not None)
    programme = data.after or data.before
    if data.delivered is not None:
        plan = data.delivered.plan
        yield _tile("Gain", signed(plan.gain_db, 1, plus=True), "dB", MODES[plan.mode])
    if programme is not None:
        source = data.source
        form = "" if source is None else f"{source.codec}, {khz(source.sample_rate_hz)}"
        yield _tile("Length", length(programme.duration_s), "", form)


def _level_tile(
    name: str, unit: str, before: float | None, after: float | None, *, has_after: bool
) -> Markup:
    plus = unit == "dBTP"
    source, delivered = (
        "–" if value is None else signed(value, 1, plus=plus) for value in (before, after)
    )
    if not has_after:
        return _tile(name, source, unit, "source")
    return _tile(name, delivered, unit, f"source: {source} {unit}")


def _tile(name: str, value: str, unit: str, below: str) -> Markup:
    return element(
        "div",
        element("dt", name),
        element(
            "dd",
            element("span", value, class_="value"),
            element("span", unit, class_="unit") if unit else None,
        ),
        element("dd", below, class_="from") if below else None,
        class_="tile",
    )


def judgement(found: Sequence[Verdict]) -> Markup | None:
    """Return the verdicts in words."""
    if not found:
        return None
    looks = sum(each.outcome == "attention" for each in found)
    passed = len(found) - looks
    summary = f"{passed} of {len(found)} in order" + (f", {looks} to look at" if looks else "")
    words = {"pass": "✓ in order", "attention": "! look"}
    return card(
        "verdicts",
        "Verdicts",
        element("p", summary, class_="about"),
        element(
            "ul",
            [
                element(
                    "li",
                    element("span", words[each.outcome], class_=f"pill {each.outcome}"),
                    element("strong", each.subject),
                    element("span", each.sentence),
                )
                for each in sorted(found, key=lambda each: each.outcome != "attention")
            ],
            class_="verdicts",
        ),
    )


# ── story ────────────────────────────────────────────────────────────────────────────────


def source(data: ReportData) -> Markup | None:
    """Return what came in: the file and its tags."""
    file = data.source
    if file is None:
        return None
    depth = f", {file.bit_depth} bit" if file.bit_depth else ""
    rate = f", {kbit(file.bit_rate)} kbit/s" if file.bit_rate else ""
    form = {
        "File": element("bdi", file.file_name),
        "Format": f"{file.codec} in {file.container.split(',')[0]}{depth}{rate}",
        "Audio": f"{khz(file.sample_rate_hz)}, {file.channel_layout} ({file.channels} ch)",
        "Size": size(file.size_bytes),
        "SHA-256": element("code", file.sha256),
    }
    tags = {name.replace("_", " "): element("bdi", text) for name, text in file.tags.items()}
    return card(
        "source",
        "What came in",
        facts(form),
        group(element("p", "Tags", class_="lane-name"), facts(tags)) if tags else None,
    )


def attempts(data: ReportData) -> Markup | None:
    """Return the attempts at an upload."""
    story = data.story
    if not story.attempts:
        return None
    rows = [
        element(
            "tr",
            element("th", str(each.number), scope="row"),
            element("td", moment(each.started_at), class_="text"),
            element("td", moment(each.ended_at), class_="text"),
            element("td", each.outcome.replace("_", " "), class_="text"),
            element("td", each.error, class_="text"),
        )
        for each in story.attempts
    ]
    return card(
        "attempts",
        "Attempts",
        table(("#", "started", "ended", "outcome"), rows, last="error", text={1, 2, 3}),
    )


def remarks(data: ReportData) -> Markup | None:
    """Return the line's warnings, and what the report could not get."""
    told = data.delivered.warnings if data.delivered else ()
    every = (*data.notes, *told)
    if not every:
        return None
    return card(
        "notes", "Notes", element("ul", [element("li", each) for each in every], class_="plain")
    )


def footer(data: ReportData) -> Markup:
    """Return when and with what it was made."""
    parts = [f"Report made {moment(data.made_at)} by audio-processor {data.version}."]
    if data.story.upload_id:
        parts.append(f"Upload {data.story.upload_id}.")
    if data.delivered is not None:
        tools = ", ".join(f"{name} {version}" for name, version in data.delivered.tools.items())
        parts.append(f"Delivery made {data.delivered.processed_at} with {tools}.")
    parts.append("Before: the source's stereo downmix. After: the m4a, without lead and tail.")
    return element("footer", [element("p", each) for each in parts])


def _after_loudness(data: ReportData) -> Loudness | None:
    """Return the m4a's figures as published, else as the report's own meter has them."""
    if data.delivered is not None:
        return data.delivered.files[-1].loudness
    return data.after.loudness if data.after else None
