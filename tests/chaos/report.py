"""A run's story as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.chaos.run import Story

LEAST_FAULTS = 200
LEAST_TRACKS = 500
"""Of all databases together: a long run with less is no evidence."""
MOST = 40
"""Complaints that are shown; where there are more, they are of one kind."""


def table(story: Story) -> str:
    """Return it as text: faults by kind, tracks, what was lost, and how soon all was well."""
    verdict = story.verdict
    lines = [f"chaos on {story.database}, seed {story.wish.seed}: {story.seconds:.0f} s", ""]
    lines.append(f"  {'fault':20} {'times':>5}   {'rows hit':>8} {'p50':>7} {'max':>7}")
    for kind, times in sorted(story.faults.items()):
        lines.append(f"  {kind:20} {times:5d}   {_recovery(story.recovered_s.get(kind, []))}")
    everything = [s for times in story.recovered_s.values() for s in times]
    lines.append(f"  {'all':20} {story.faults.total():5d}   {_recovery(everything)}")
    if story.impossible:
        lines.append(f"  not possible here: {', '.join(sorted(story.impossible))}")
    lines += [
        "",
        f"  tracks {story.tracks}   ladders whole {verdict.ladders}   "
        f"ladders listened to {story.ladders_listened_to}   asked again {story.listener_retries}",
        f"  judged by validate {story.validated}   "
        f"longest overdue beside an idle worker {story.overdue_s:.1f} s",
        f"  lost {len(verdict.lost)}   duplicated {len(verdict.duplicated)}   "
        f"stuck {len(verdict.stuck)}   broken {len(verdict.broken)}",
        f"  zombies woken {story.zombies}   requests they still sent {story.zombie_requests}   "
        f"objects no playlist names {verdict.litter}",
    ]
    lines += [f"  ! {complaint}" for complaint in verdict.complaints[:MOST]]
    if len(verdict.complaints) > MOST:
        lines.append(f"  … and {len(verdict.complaints) - MOST} more")
    return "\n".join(lines)


def shortfall(stories: Sequence[Story], *, require_all: bool) -> list[str]:
    """Return what a long run lacks as evidence, in sentences."""
    faults, tracks = sum(s.injected for s in stories), sum(s.tracks for s in stories)
    lacks = []
    if faults < LEAST_FAULTS:
        lacks.append(f"{faults} faults were injected, which is fewer than {LEAST_FAULTS}")
    if tracks < LEAST_TRACKS:
        lacks.append(f"{tracks} tracks were given, which is fewer than {LEAST_TRACKS}")
    impossible = sorted({kind for s in stories for kind in s.impossible})
    if impossible and require_all:
        lacks.append(f"not possible here: {', '.join(impossible)}")
    return lacks


def _recovery(seconds: list[float]) -> str:
    if not seconds:
        return f"{'–':>8}"
    return f"{len(seconds):8d} {statistics.median(seconds):6.1f}s {max(seconds):6.1f}s"
