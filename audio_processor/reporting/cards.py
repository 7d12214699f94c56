"""What sections are put together from: cards, legends, tables, and figures in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from audio_processor.model import Loudness, PlanMode
from audio_processor.reporting.data import Programme, ReportData
from audio_processor.reporting.markup import Child, Markup, element, group
from audio_processor.reporting.verdicts import signed

NAMES = {"before": "Before", "after": "After"}
MODES: dict[PlanMode, str] = {
    "none": "left as it is",
    "static": "one gain",
    "limited": "one gain and a limiter",
    "ridden": "one gain and a level rider",
    "ridden+limited": "one gain, a level rider and a limiter",
}


def halves(data: ReportData) -> list[tuple[str, Programme]]:
    """Return before and after, those of them that there are, by their names in the style."""
    both = (("before", data.before), ("after", data.after))
    return [(kind, each) for kind, each in both if each is not None]


# ── parts ────────────────────────────────────────────────────────────────────────────────


def card(name: str, heading: str, *children: Markup | None, class_: str = "") -> Markup:
    """Return a section of the page under its heading."""
    return element(
        "section",
        element("h2", heading, id=f"{name}-heading"),
        *children,
        id=name,
        class_=f"card {class_}".strip(),
        aria_labelledby=f"{name}-heading",
    )


def plot(drawn: Markup) -> Markup:
    """Return a figure that a narrow screen may scroll."""
    return element("div", drawn, class_="plot")


def about(*words: str) -> Markup:
    """Return a paragraph that explains."""
    return element("p", words, class_="about")


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """Return what each colour stands for: pairs of a style's name and words."""
    return element(
        "ul", [element("li", text, class_=kind) for kind, text in entries], class_="legend"
    )


def table(
    headings: Sequence[str], rows: Iterable[Markup], *, last: str, text: Iterable[int] = ()
) -> Markup:
    """Return a table of figures; the columns ``text`` and the ``last`` one are words."""
    left = set(text)
    heads = [
        element("th", each, scope="col", class_="text" if i in left else None)
        for i, each in enumerate(headings)
    ]
    heads.append(element("th", last, scope="col", class_="text"))
    made = element("table", element("thead", element("tr", heads)), element("tbody", rows))
    return element("div", made, class_="scroll")


def row(name: str, *cells: Child, last: Child = "", class_: str | None = None) -> Markup:
    """Return a row of such a table: its name, figures, and words."""
    return element(
        "tr",
        element("th", name, scope="row"),
        [element("td", each) for each in cells],
        element("td", last, class_="text"),
        class_=class_,
    )


def facts(entries: Mapping[str, Child]) -> Markup:
    """Return names and what they are."""
    pairs = [group(element("dt", name), element("dd", value)) for name, value in entries.items()]
    return element("dl", pairs, class_="facts")


# ── figures in words ─────────────────────────────────────────────────────────────────────


def levels(measured: Loudness) -> tuple[str, str, str]:
    """Return integrated loudness, true peak and range for a row."""
    return (
        cell(measured.integrated_lufs),
        cell(measured.true_peak_dbtp),
        cell(measured.range_lu),
    )


def cell(value: float | None) -> str:
    """Return a level for a table."""
    return "–" if value is None else signed(value, 2)


def in_words(value: float | None, unit: str) -> str:
    """Return a level for a sentence."""
    return "none" if value is None else f"{signed(value, 1)} {unit}"


def length(seconds: float) -> str:
    """Return a duration: 7.25 s, 3:05 min, 1:02:03 h."""
    if seconds < 60.0:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def khz(rate_hz: int) -> str:
    """Return a sample rate."""
    return f"{rate_hz / 1000:g} kHz"


def kbit(rate: int | None) -> str:
    """Return a bit rate in kbit/s, without its unit."""
    return "–" if rate is None else f"{rate / 1000:.1f}"


def size(count: int) -> str:
    """Return a number of bytes."""
    return f"{count / 1e6:.2f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def moment(when: datetime | None) -> str:
    """Return a time of the database's clock."""
    return "" if when is None else f"{when:%Y-%m-%d %H:%M:%S} UTC"
