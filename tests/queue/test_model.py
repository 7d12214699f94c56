"""Any course of events, against the simplest model of a queue there is."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from audio_processor.errors import LeaseLost, OutputConflict
from audio_processor.model import Claim
from tests.queue.backend import Backend, row, summary

MAX_ATTEMPTS = 3
KEYS = ("song", "Song", "other")


@dataclass
class Expected:
    """What a row must be."""

    number: int
    status: str = "0"
    attempts: int = 0
    token: str | None = None
    again: int = 0
    """Which of the returns to the queue it was; 0 where it was never tried since."""
    died: int = 0
    """Which of the deaths it was that left it; 0 while its lease runs."""
    waiting: bool = False
    key: str | None = None
    public: bool = False
    tokens: set[str] = field(default_factory=set)

    def give_up_output(self) -> None:
        """Unless it was ever completed: then it is what is public."""
        if not self.public:
            self.key = None


class QueueMachine(RuleBasedStateMachine):
    """Inserts, claims, writes, dies and resets in any order, with tokens fresh and stale."""

    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.backend = Backend("sqlite", {"database": str(self.folder / "q.db")})
        self.queue = self.backend.open(max_attempts=MAX_ATTEMPTS)
        self.rows: dict[str, Expected] = {}
        self.deaths = 0
        self.returns = 0

    def teardown(self) -> None:
        self.queue.close()
        shutil.rmtree(self.folder)

    @initialize()
    def two_rows(self) -> None:
        self.insert()
        self.insert()

    @precondition(lambda self: len(self.rows) < 6)
    @rule()
    def insert(self) -> None:
        number = len(self.rows)
        upload_id = f"u{number}"
        assert self.queue.insert(upload_id, f"{number}.mp3")
        self.backend.set(upload_id, "uploaded_at", f"'2025-01-01 00:00:{number:02}'")
        self.rows[upload_id] = Expected(number)

    @rule(target=claims)
    def claim(self) -> Claim | MultipleResults[Claim]:
        claim = self.queue.claim("w")
        for expected in self.rows.values():
            if expected.died and expected.attempts >= MAX_ATTEMPTS:
                expected.status, expected.died = "failed", 0
                expected.give_up_output()
        claimable = self._in_order()
        if not claimable:
            assert claim is None
            return multiple()
        assert claim is not None
        assert claim.upload_id == claimable[0]
        expected = self.rows[claim.upload_id]
        expected.status, expected.died, expected.token = "processing", 0, claim.lease_token
        expected.again = 0
        expected.attempts += 1
        assert claim.attempt == expected.attempts
        assert claim.lease_token not in expected.tokens
        expected.tokens.add(claim.lease_token)
        return claim

    def _in_order(self) -> list[str]:
        """What vanished workers left, by their deaths; what came back, by when; by upload."""
        dead = sorted((e.died, u) for u, e in self.rows.items() if e.died)
        ready = [(u, e) for u, e in self.rows.items() if e.status == "0" and not e.waiting]
        again = sorted((e.again, u) for u, e in ready if e.again)
        return [u for _, u in dead + again] + [u for u, e in ready if not e.again]

    def _made_ready(self, upload_id: str) -> None:
        """It may be claimed at once, after those that were made so before it."""
        assert row(self.queue, upload_id).available_at is not None
        self.returns += 1
        self.backend.set(upload_id, "available_at", f"'2025-01-01 00:01:00.{self.returns:03}'")
        self.rows[upload_id].again = self.returns

    def _holds(self, claim: Claim) -> bool:
        expected = self.rows[claim.upload_id]
        return expected.status == "processing" and expected.token == claim.lease_token

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        if not self._holds(claim):
            with pytest.raises(LeaseLost):
                self.queue.renew(claim)
            return
        self.queue.renew(claim)
        self.rows[claim.upload_id].died = 0

    @rule(claim=claims, key=st.sampled_from(KEYS))
    def reserve(self, claim: Claim, key: str) -> None:
        owners = [u for u, e in self.rows.items() if e.key == key and u != claim.upload_id]
        if owners:
            with pytest.raises(OutputConflict, match=f"'{owners[0]}'"):
                self.queue.reserve_output(claim, key)
        elif not self._holds(claim):
            with pytest.raises(LeaseLost):
                self.queue.reserve_output(claim, key)
        else:
            self.queue.reserve_output(claim, key)
            self.rows[claim.upload_id].key = key

    @rule(claim=consumes(claims), how=st.sampled_from(("complete", "fail", "retry", "hand_back")))
    def end(self, claim: Claim, how: str) -> None:
        def act() -> None:
            match how:
                case "complete":
                    self.queue.complete(claim, summary())
                case "fail":
                    self.queue.fail(claim, error_code="x", error_message="y")
                case "retry":
                    self.queue.retry_later(claim, error_code="x", error_message="y", delay_s=999)
                case _:
                    self.queue.hand_back(claim)

        if not self._holds(claim):
            with pytest.raises(LeaseLost):
                act()
            return
        act()
        expected = self.rows[claim.upload_id]
        expected.died = 0
        expected.status = {"complete": "completed", "fail": "failed"}.get(how, "0")
        expected.waiting = how == "retry"
        if how == "complete":
            expected.public = True
        if how == "fail":
            expected.give_up_output()
        if how == "hand_back":
            expected.attempts -= 1
            self._made_ready(claim.upload_id)

    @rule(claim=claims)
    def the_worker_dies(self, claim: Claim) -> None:
        if self._holds(claim):
            self.deaths += 1
            ran_out = f"'2025-01-01 00:00:{self.deaths:02}'"
            self.backend.set(claim.upload_id, "lease_expires_at", ran_out)
            self.rows[claim.upload_id].died = self.deaths

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        upload_id = data.draw(st.sampled_from(sorted(self.rows)))
        self.backend.set(upload_id, "available_at", "NULL")
        self.rows[upload_id].waiting = False
        self.rows[upload_id].again = 0

    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        upload_id = data.draw(st.sampled_from(sorted(self.rows)))
        expected = self.rows[upload_id]
        held = expected.status == "processing" and not expected.died
        assert self.queue.reset(upload_id) is not held
        if not held:
            expected.status, expected.attempts, expected.token = "0", 0, None
            expected.died, expected.waiting = 0, False
            self._made_ready(upload_id)

    @invariant()
    def the_table_is_as_the_model_says(self) -> None:
        for upload_id, expected in self.rows.items():
            record = row(self.queue, upload_id)
            assert record.status == expected.status
            assert record.attempts == expected.attempts
            assert record.output_key == expected.key
            assert (record.wait_s > 0) == expected.waiting
            running = [a for a in record.history if a.outcome == "running"]
            assert len(running) == (1 if expected.status == "processing" else 0)
        assert self.queue.claimable_ids() == self._in_order()


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
