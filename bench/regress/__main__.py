"""``python -m bench.regress``: the fixed set through every preset, against the goldens.

Exit code 1 where a figure moved further than it may; ``UPDATE_GOLDENS=1`` writes what was
found as the new goldens instead. ``--synthetic`` leaves the real music out.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.corpus import corpus_folder
from bench.regress.figures import Figures
from bench.regress.programmes import MUSIC, SYNTHETIC, Programme, excerpt, synthetic
from bench.regress.suite import GOLDENS, Outcome, run_suite


def programmes(*, music: bool, folder: Path) -> Iterator[Programme]:
    """Yield the synthetic set, then the real one where it is wanted and there."""
    for name in SYNTHETIC:
        yield synthetic(name)
    for name in MUSIC if music else ():
        file = corpus_folder() / name
        if not file.is_file():
            raise SystemExit(f"regress: {name} is not in {corpus_folder()}; run `make corpus`")
        yield excerpt(file, folder)


def main() -> int:
    """Run the suite, print its table and return the exit code."""
    update = os.environ.get("UPDATE_GOLDENS") == "1"
    with tempfile.TemporaryDirectory(prefix="audio-processor-") as folder:
        music = "--synthetic" not in sys.argv[1:]
        outcome = run_suite(programmes(music=music, folder=Path(folder)), told=_print_row)
    if update:
        outcome.save()
        print(f"{len(outcome.found)} goldens written to {GOLDENS}")
        return 0
    return _verdict(outcome)


def _print_row(programme: str, preset: str, found: Figures) -> None:
    print(
        f"{programme:12} {preset:16} {found.integrated_lufs:7.2f} LUFS "
        f"{found.true_peak_dbtp:6.2f} dBTP  crest {found.crest_db:5.2f} dB  "
        f"r {found.correlation:+.3f}  spectrum {found.spectral_distance_db:5.2f} dB  "
        f"residual {found.residual_db:7.2f} dB",
        flush=True,
    )


def _verdict(outcome: Outcome) -> int:
    for difference in outcome.differences:
        print(f"MOVED  {difference}")
    for missing in outcome.without_golden:
        print(f"NEW    {missing}: no golden; UPDATE_GOLDENS=1 writes one")
    bad = len(outcome.differences) + len(outcome.without_golden)
    print(f"{len(outcome.found)} masters, {bad} not as they were")
    return 1 if bad else 0


sys.exit(main())
