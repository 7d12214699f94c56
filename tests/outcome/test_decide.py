"""What becomes of a row, as a table; and what must hold whatever happened."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor import errors
from audio_processor.model import Loudness, Receipt, TrackSummary
from audio_processor.outcome import (
    MAX_MESSAGE_CHARACTERS,
    UNFORESEEN_ATTEMPTS,
    Abandon,
    BackoffPolicy,
    Completed,
    Failed,
    HandBack,
    Outcome,
    RetryLater,
    decide,
    sentence,
)

BACKOFF = BackoffPolicy(base_s=30.0, cap_s=3600.0)
MAX_ATTEMPTS = 6
SILENCE = Loudness(None, None, None, None, None, None)
SUMMARY = TrackSummary("track", 1.0, SILENCE, "none", 0.0, "silence", ())
RECEIPT = Receipt("track", "out/track/", 9, 1000, SUMMARY)
UNFORESEEN = "Processing stopped on an unexpected {}; the log has the details."


def ended(
    result: Receipt | BaseException,
    *,
    attempt: int = 1,
    max_attempts: int = MAX_ATTEMPTS,
    stopping: bool = False,
    outage: bool = False,
    fraction: float = 0.5,
) -> Outcome:
    return decide(
        result,
        attempt=attempt,
        max_attempts=max_attempts,
        backoff=BACKOFF,
        stopping=stopping,
        outage=outage,
        jitter=lambda: fraction,
    )


@pytest.mark.parametrize(
    ("result", "attempt", "stopping", "outcome"),
    [
        (RECEIPT, 1, False, Completed(SUMMARY)),
        (RECEIPT, 99, True, Completed(SUMMARY)),
        (errors.LeaseLost("Gone."), 1, False, Abandon("Gone.")),
        (errors.LeaseLost("Gone."), 99, True, Abandon("Gone.")),
        (errors.LeaseLapsed("Gone."), 99, False, HandBack()),
        (errors.CorruptMedia("Half."), 1, False, Failed("corrupt_media", "Half.")),
        (errors.CorruptMedia("Half."), 1, True, Failed("corrupt_media", "Half.")),
        (errors.DiskFull("Full."), 1, False, RetryLater("disk_full", "Full.", 15.0)),
        (errors.DiskFull("Full."), 3, False, RetryLater("disk_full", "Full.", 60.0)),
        (errors.DiskFull("Full."), 5, False, RetryLater("disk_full", "Full.", 240.0)),
        (errors.DiskFull("Full."), 6, False, Failed("disk_full", "Full.")),
        (errors.DiskFull("Full."), 6, True, HandBack()),
        (errors.StoreUnavailable("D."), 1, False, RetryLater("store_unavailable", "D.", 90.0)),
        (errors.StoreUnavailable("Down."), 6, False, Failed("store_unavailable", "Down.")),
        (errors.DatabaseUnavailable("D."), 2, False, RetryLater("database_unavailable", "D.", 180)),
        (errors.VerificationFailed("O."), 2, False, RetryLater("verification_failed", "O.", 30)),
        (errors.VerificationFailed("Out."), 3, False, Failed("verification_failed", "Out.")),
        (KeyError("k"), 2, False, RetryLater("internal_error", UNFORESEEN.format("KeyError"), 30)),
        (KeyError("k"), 3, False, Failed("internal_error", UNFORESEEN.format("KeyError"))),
        (KeyError("k"), 1, True, HandBack()),
        (MemoryError(), 3, False, Failed("internal_error", UNFORESEEN.format("MemoryError"))),
        (KeyboardInterrupt(), 1, False, HandBack()),
        (SystemExit(1), 99, False, HandBack()),
        (concurrent.futures.CancelledError(), 1, False, HandBack()),
        (asyncio.CancelledError(), 1, False, HandBack()),
    ],
)  # fmt: skip
def test_the_table(
    result: Receipt | BaseException, attempt: int, stopping: bool, outcome: Outcome
) -> None:
    assert ended(result, attempt=attempt, stopping=stopping) == outcome


@given(st.integers(1, 100), st.floats(0, 1))
def test_an_outage_costs_no_attempt(attempt: int, fraction: float) -> None:
    match ended(errors.StoreUnavailable("D."), attempt=attempt, outage=True, fraction=fraction):
        case HandBack(delay_s):
            assert 0 <= delay_s <= BACKOFF.base_s
        case other:
            pytest.fail(f"unexpected {other}")


def _leaves(root: type[errors.AudioProcessorError]) -> list[type[errors.AudioProcessorError]]:
    known = (sub for sub in root.__subclasses__() if sub.__module__ == "audio_processor.errors")
    return [root, *(leaf for sub in known for leaf in _leaves(sub))]


EVERY_CLASS = [*_leaves(errors.AudioProcessorError), ValueError, OSError, MemoryError]
failures = st.builds(lambda kind, text: kind(text), st.sampled_from(EVERY_CLASS), st.text())


@given(failures, st.booleans(), st.integers(1, 8), st.floats(0, 1))
def test_no_error_is_retried_for_ever(
    error: Exception, stopping: bool, max_attempts: int, fraction: float
) -> None:
    last = ended(
        error, attempt=max_attempts, max_attempts=max_attempts, stopping=stopping, fraction=fraction
    )
    assert not isinstance(last, RetryLater)


@given(failures, st.integers(1, 10), st.floats(0, 1))
def test_a_retry_waits_no_longer_than_the_cap_and_only_while_attempts_are_left(
    error: Exception, attempt: int, fraction: float
) -> None:
    match ended(error, attempt=attempt, fraction=fraction):
        case RetryLater(delay_s=delay_s):
            assert 0 <= delay_s <= BACKOFF.cap_s
            assert attempt < MAX_ATTEMPTS
            assert isinstance(error, errors.TransientError) or attempt < UNFORESEEN_ATTEMPTS
        case Failed() | Abandon():
            pass
        case HandBack():
            assert isinstance(error, errors.LeaseLapsed)
        case other:
            pytest.fail(f"unexpected {other}")


@given(failures, st.integers(1, 10), st.booleans())
def test_what_is_written_into_a_row_is_one_bounded_line_with_a_stable_code(
    error: Exception, attempt: int, stopping: bool
) -> None:
    match ended(error, attempt=attempt, stopping=stopping):
        case RetryLater(error_code=code, error_message=text) | Failed(code, text):
            assert 0 < len(text) <= MAX_MESSAGE_CHARACTERS
            assert text.isprintable()
            assert text == text.strip()
            assert code == getattr(error, "code", "internal_error")


@given(st.integers(-3, 10**6), st.floats(0.001, 1e6), st.floats(0.001, 1e6), st.floats(0, 1))
def test_backoff_grows_to_its_cap_and_never_overflows(
    attempt: int, base_s: float, cap_s: float, fraction: float
) -> None:
    policy = BackoffPolicy(base_s, cap_s)
    delay_s = policy.delay_s(attempt, lambda: fraction)
    assert 0 <= delay_s <= policy.ceiling_s(attempt) <= cap_s
    assert policy.ceiling_s(attempt) <= policy.ceiling_s(attempt + 1)
    assert delay_s <= policy.outage_delay_s(attempt, lambda: fraction) * (1 + 1e-9)


def test_a_track_outlives_an_outage_of_half_an_hour_even_with_the_unluckiest_jitter() -> None:
    waited_s = 0.0
    for attempt in range(1, MAX_ATTEMPTS):
        outcome = ended(errors.StoreUnavailable("Down."), attempt=attempt, fraction=0.0)
        assert isinstance(outcome, RetryLater)
        waited_s += outcome.delay_s
    assert waited_s >= 1800


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("password=hunter2"), UNFORESEEN.format("ValueError")),
        (OSError(2, "No such file", "/data/x"), UNFORESEEN.format("FileNotFoundError")),
        (errors.CorruptMedia(""), UNFORESEEN.format("CorruptMedia")),
        (errors.CorruptMedia("Two\nlines\x00 of\ttext."), "Two lines of text."),
        (errors.DiskFull("No room in /data/scratch/job-1."), "No room in …"),
        (errors.DiskFull("No room in '/data/scratch', 3 MB."), "No room in '…', 3 MB."),
        (errors.StoreUnavailable("http://u:pw@host/b said 503."), "http://…@host/b said 503."),
        (errors.SourceMissing("No tracks/a/b.mp3 in s3://music."), "No tracks/a/b.mp3 in s3://music."),
        (errors.LimitExceeded("7200 s, at 24/192 kHz."), "7200 s, at 24/192 kHz."),
        (errors.EncoderTimeout("Stuck.\nTraceback (most recent call last):\n  x"), "Stuck."),
    ],
)  # fmt: skip
def test_a_row_is_told_a_sentence_without_secret_path_or_traceback(
    error: Exception, says: str
) -> None:
    assert sentence(error) == says


def test_a_long_message_is_cut_and_shows_it() -> None:
    text = sentence(errors.CorruptMedia("a" * 10_000))
    assert len(text) == MAX_MESSAGE_CHARACTERS
    assert text.endswith("…")
