"""A row whose lease has run out is taken within a poll, where somebody is there to take it."""

from __future__ import annotations

from tests.chaos.overdue import BOUND_S, Overdue
from tests.chaos.watch import Row


def row(overdue_s: float, status: str = "processing", token: str = "t1") -> Row:
    return Row("a", "a.wav", status, 1, token, "host-7-x", None, None, "", overdue_s)


def lies(*rows: Row, idle: bool = True) -> Overdue:
    """Look at the row every half second, for twice as long as it may lie."""
    overdue = Overdue()
    for step in range(int(4 * BOUND_S) + 1):
        overdue.look(step / 2, [rows[step % len(rows)]], idle=idle)
    return overdue


def test_a_row_that_nobody_takes_is_stuck_and_told_once() -> None:
    overdue = lies(row(5.0))
    assert len(overdue.stuck) == 1
    assert overdue.longest_s > BOUND_S


def test_a_lease_that_runs_is_nobody_elses() -> None:
    assert lies(row(-1.0)).stuck == []


def test_a_row_that_has_ended_waits_for_nobody() -> None:
    assert lies(row(5.0, "completed")).stuck == []


def test_where_all_hands_are_full_a_row_may_wait() -> None:
    assert lies(row(5.0), idle=False).stuck == []


def test_a_row_that_is_taken_each_time_is_not_stuck() -> None:
    assert lies(row(0.2, token="t1"), row(0.2, token="t2")).stuck == []
