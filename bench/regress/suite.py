"""Every programme through every preset, and the goldens that they are held against."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from audio_processor.mastering.preset import packaged
from bench.regress.figures import Difference, Figures, differences, measure
from bench.regress.programmes import Programme

GOLDENS = Path(__file__).with_name("goldens.json")

Told = Callable[[str, str, Figures], None]
Goldens = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Programme, preset, figure."""


@dataclass(slots=True)
class Outcome:
    """What one run found."""

    found: dict[tuple[str, str], Figures] = field(default_factory=dict)
    """By programme and preset."""
    differences: list[Difference] = field(default_factory=list)
    without_golden: list[str] = field(default_factory=list)

    def save(self) -> None:
        """Write what was found into the goldens; what was not run keeps its own."""
        kept = {name: dict(presets) for name, presets in load().items()}
        for (programme, preset), figures in self.found.items():
            rounded = {name: round(value, 4) for name, value in asdict(figures).items()}
            kept.setdefault(programme, {})[preset] = rounded
        known = packaged()
        whole = {name: {p: row[p] for p in known if p in row} for name, row in kept.items()}
        GOLDENS.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def load() -> Goldens:
    """Return the goldens; none where there is no file yet."""
    if not GOLDENS.is_file():
        return {}
    goldens: Goldens = json.loads(GOLDENS.read_text(encoding="utf-8"))
    return goldens


def run_suite(programmes: Iterable[Programme], *, told: Told) -> Outcome:
    """Master each programme with each preset and hold it against its golden."""
    goldens, outcome = load(), Outcome()
    for programme in programmes:
        for name, preset in packaged().items():
            figures = measure(programme, preset.stages)
            outcome.found[programme.name, name] = figures
            told(programme.name, name, figures)
            golden = goldens.get(programme.name, {}).get(name)
            if golden is None:
                outcome.without_golden.append(f"{programme.name} through {name}")
                continue
            outcome.differences += differences(programme.name, name, golden, figures)
    return outcome
