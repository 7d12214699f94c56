"""The throughput's picture: a plain SVG of two panels, drawn without a plotting library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 760, 340
_TOP, _BOTTOM, _LEFT, _RIGHT, _BETWEEN = 56, 290, 56, 740, 64
_WALL, _CPU, _OURS, _THEIRS = "#2a6f97", "#a9c9dd", "#2f7d4f", "#d0d0d0"


@dataclass(frozen=True, slots=True)
class Bar:
    """One concurrency."""

    name: str
    """How many tracks at once."""
    audio_per_wall_s: float
    audio_per_cpu_s: float
    utilisation: float
    """Share of the cores, 0…1."""
    taken_by_others: float
    """Likewise."""


def plot(bars: Sequence[Bar]) -> str:
    """Return the picture: audio per second on the left, use of the cores on the right."""
    width = (_RIGHT - _LEFT - _BETWEEN) / 2
    most = 1.15 * max(max(bar.audio_per_wall_s, bar.audio_per_cpu_s) for bar in bars)
    left = _Panel(_LEFT, width, most, bars)
    right = _Panel(_LEFT + width + _BETWEEN, width, 1.15, bars)
    shapes = [
        *left.frame("audio seconds per second", "per second, all slots busy", _WALL, _axis),
        left.text(left.left + 190, _TOP - 8, "per CPU second", fill=_CPU),
        *left.bars(lambda bar: bar.audio_per_wall_s, _WALL, 0, 2, "{:.1f}"),
        *left.bars(lambda bar: bar.audio_per_cpu_s, _CPU, 1, 2, "{:.1f}"),
        *right.frame("use of the cores", "the worker's tree", _OURS, "{:.0%}".format),
        right.text(right.left + 130, _TOP - 8, "taken by others", fill="#808080"),
        *right.bars(lambda bar: bar.utilisation, _OURS, 0, 2, "{:.0%}"),
        *right.bars(lambda bar: bar.taken_by_others, _THEIRS, 1, 2, "{:.0%}"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" role="img" '
        'aria-label="Throughput and use of the cores against concurrency">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>' + "".join(shapes) + "</svg>\n"
    )


def _axis(value: float) -> str:
    return f"{value:.0f}"


@dataclass(frozen=True, slots=True)
class _Panel:
    left: float
    width: float
    most: float
    series: Sequence[Bar]

    def frame(
        self, title: str, first: str, colour: str, label: Callable[[float], str]
    ) -> list[str]:
        right = self.left + self.width
        lines = [
            self.text(self.left, _TOP - 28, title, weight="bold", fill="#222"),
            self.text(self.left, _TOP - 8, first, fill=colour),
        ]
        for step in range(5):
            value = self.most / 1.15 * step / 4
            y = self._y(value)
            lines.append(
                f'<path d="M{self.left:.1f} {y:.1f}H{right:.1f}" stroke="#e4e4e4" fill="none"/>'
            )
            lines.append(self.text(self.left - 6, y + 4, label(value), anchor="end"))
        middle = self.left + self.width / 2
        lines.append(self.text(middle, _BOTTOM + 40, "tracks in work at once", anchor="middle"))
        return lines

    def bars(
        self, of: Callable[[Bar], float], colour: str, number: int, abreast: int, shown: str
    ) -> list[str]:
        room = self.width / len(self.series)
        wide = 0.7 * room / abreast
        drawn = []
        for index, bar in enumerate(self.series):
            value = of(bar)
            x, y = self.left + room * (index + 0.15) + wide * number, self._y(value)
            drawn.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{_BOTTOM - y:.1f}" '
                f'fill="{colour}"/>'
            )
            drawn.append(self.text(x + wide / 2, y - 4, shown.format(value), anchor="middle"))
            if number == 0:
                middle = self.left + room * (index + 0.5)
                drawn.append(self.text(middle, _BOTTOM + 18, bar.name, anchor="middle"))
        return drawn

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        weight: str = "normal",
        fill: str = "#555",
    ) -> str:
        return (
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="{fill}">{words}</text>'
        )

    def _y(self, value: float) -> float:
        return _BOTTOM - (_BOTTOM - _TOP) * min(1.0, value / self.most)
