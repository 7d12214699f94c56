"""``audio-processor capacity`` as an operator runs it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from audio_processor.capacity import capacity
from audio_processor.capacity_demand import Demand
from audio_processor.cli import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["capacity", *arguments], env={"COLUMNS": "140"})


def answer(*arguments: str) -> dict[str, Any]:
    done = run("--json", *arguments)
    assert done.exit_code == 0, done.output
    answered: dict[str, Any] = json.loads(done.output)
    return answered


def test_a_million_tracks_a_day() -> None:
    found = answer("--tracks-per-day", "1000000", "--minutes", "3.5")
    expected = capacity(Demand(tracks_per_day=1_000_000, minutes=3.5))
    assert found["fleet"]["pods_at_peak"] == expected.fleet.pods_at_peak
    assert found["store"]["per_track"]["put"] == expected.store.per_track.put
    assert found["demand"]["tracks_per_day"] == 1_000_000
    assert found["measured"]["audio_s_per_cpu_s"]["measured_with"] == "make bench-throughput"


def test_every_option_reaches_the_model() -> None:
    stated = {
        "peak-factor": 3.0, "headroom": 0.5, "retry-share": 0.25, "failure-share": 0.5,
        "source-kbps": 320.0, "cores-per-pod": 8.0, "concurrency": 9.0, "utilisation": 0.5,
        "speed": 40.0, "tiers": 4.0, "segment-s": 6.0, "part-mib": 8.0, "heartbeat-s": 20.0,
        "poll-s": 2.0, "pool-size": 7.0, "tracks-per-day": 12345.0, "minutes": 7.0,
    }  # fmt: skip
    arguments = [word for name, value in stated.items() for word in (f"--{name}", f"{value:g}")]
    told = answer(*arguments)["demand"]
    assert told == {name.replace("-", "_"): value for name, value in stated.items()}


def test_prices_are_inputs_and_said_to_be_the_operators() -> None:
    found = answer("--price-put", "0.01", "--currency", "EUR")
    listed = answer()
    assert found["prices"]["currency"] == "EUR"
    assert found["prices"]["source"] == "prices given on the command line"
    assert "aws.amazon.com/s3/pricing" in listed["prices"]["source"]
    assert listed["prices"]["as_of"]
    assert found["cost"]["requests_per_day"] > 1.9 * listed["cost"]["requests_per_day"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--minutes", "0"], "--minutes must be from 0.01 to 240"),
        (["--tracks-per-day", "-1"], "--tracks-per-day must be from 0 to 1e+09"),
        (["--peak-factor", "nan"], "--peak-factor must be from 1 to 100"),
        (["--utilisation", "1.5"], "--utilisation must be from 0.05 to 1"),
        (["--price-put", "-0.1"], "--price-put must be from 0 to 1000"),
    ],
)
def test_what_cannot_be_is_refused_with_its_range(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_the_terminal_shows_every_assumption() -> None:
    shown = run("--minutes", "7").output
    for words in (
        "pods in the busiest hour",
        "--minutes",
        "--retry-share",
        "audio s per cpu s",
        "make bench-throughput",
        "as of",
    ):
        assert words in shown, words
    assert "**" not in shown
