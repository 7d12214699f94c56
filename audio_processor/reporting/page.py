"""The page: one self-contained HTML document, its sections in order. Pure.

No script, no address of anything outside: a policy in the page itself forbids both, so that
whatever a title or a file name holds stays text.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from audio_processor.reporting import figures, sections, tables
from audio_processor.reporting.data import ReportData
from audio_processor.reporting.markup import Markup, element, stylesheet
from audio_processor.reporting.verdicts import verdicts

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def page(data: ReportData) -> str:
    """Return the report as an HTML document."""
    return "<!doctype html>\n" + element("html", _head(data), _body(data), lang="en") + "\n"


def _head(data: ReportData) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        # without it a browser asks the server for one
        element("link", rel="icon", href="data:,"),
        element("title", f"{data.title} – audio report"),
        stylesheet(_css()),
    )


def _body(data: ReportData) -> Markup:
    return element(
        "body",
        sections.header(data),
        element("main", *_sections(data)),
        sections.footer(data),
    )


def _sections(data: ReportData) -> Iterator[Markup | None]:
    yield sections.failure(data)
    yield sections.tiles(data)
    yield sections.judgement(verdicts(data))
    if data.before is not None or data.after is not None:
        yield figures.waveforms(data)
        yield figures.loudness(data)
        yield figures.gain(data)
        yield figures.spectrum(data)
        yield figures.stereo(data)
    yield tables.renditions(data)
    yield tables.mastering(data)
    yield sections.source(data)
    yield sections.attempts(data)
    yield sections.remarks(data)


@cache
def _css() -> str:
    return files("audio_processor.reporting").joinpath("page.css").read_text(encoding="utf-8")
