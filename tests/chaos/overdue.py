"""Rows whose lease has run out while somebody stands by: lease and one poll, and not more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.site import POLL_S
from tests.chaos.watch import Row

ALLOWANCE_S = 10.0
"""For two busy cores, a claim's own time, and the watcher's look at the rows."""
BOUND_S = POLL_S + ALLOWANCE_S


@dataclass
class Overdue:
    """Looks at the rows again and again; what lay for too long is in ``stuck``, once each."""

    stuck: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    """That any row lay, with somebody there to take it."""
    _since: dict[tuple[str, str | None], float] = field(default_factory=dict)
    _told: set[tuple[str, str | None]] = field(default_factory=set)

    def look(self, now_s: float, rows: Iterable[Row], *, idle: bool) -> None:
        """Note what lies at this moment; ``idle``: some worker is up and has nothing to do."""
        lapsed = {
            (row.upload_id, row.token): row
            for row in rows
            if idle and row.status == "processing" and row.overdue_s > 0
        }
        self._since = {key: self._since.get(key, now_s) for key in lapsed}
        for key, since_s in self._since.items():
            waited_s = now_s - since_s
            self.longest_s = max(self.longest_s, waited_s)
            if waited_s > BOUND_S and key not in self._told:
                self._told.add(key)
                row = lapsed[key]
                self.stuck.append(
                    f"{row.file_name} (attempt {row.attempts}): its lease ran out"
                    f" {row.overdue_s:.1f} s ago, and nobody takes it"
                )
