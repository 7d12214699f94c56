"""The model: what more means more of, what is in proportion, and what is refused."""

from __future__ import annotations

import math
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.capacity import Capacity, capacity
from audio_processor.capacity_counts import requests_of_track, requests_of_upload, segments
from audio_processor.capacity_demand import Demand
from audio_processor.capacity_figures import LIST_PRICES
from audio_processor.errors import ConfigError

MIB = 2**20
RANGES = {each.name: each.metadata for each in fields(Demand)}


def within(name: str) -> st.SearchStrategy[float]:
    return st.floats(RANGES[name]["least"], RANGES[name]["most"])


demands = st.builds(Demand, **{name: within(name) for name in RANGES})

GROWS_WITH = {
    "tracks_per_day": ("fleet.cores_at_peak", "store.per_day.put", "database.per_day.writes"),
    "minutes": (
        "fleet.cpu_s_per_track",
        "fleet.scratch_per_pod_mib",
        "store.per_track.put",
        "store.per_track.get",
        "store.stored_gb_per_day",
        "cost.requests_per_day",
    ),
    "peak_factor": ("fleet.cores_at_peak", "fleet.pods_at_peak", "store.puts_per_s_at_peak"),
    "headroom": ("fleet.cores_at_peak",),
    "retry_share": ("fleet.cores_busy_on_average", "store.per_day.get", "database.per_day.writes"),
    "source_kbps": ("store.per_track.get", "fleet.scratch_per_pod_mib", "store.read_gb_per_day"),
    "concurrency": ("fleet.memory_per_pod_mib", "fleet.scratch_per_pod_mib"),
    "tiers": ("store.per_track.put", "cost.requests_per_day"),
}
FALLS_WITH = {
    "utilisation": ("fleet.cores_at_peak", "fleet.track_wall_s"),
    "speed": ("fleet.cores_at_peak", "fleet.cpu_s_per_track", "database.per_track.writes"),
    "cores_per_pod": ("fleet.pods_at_peak",),
    "segment_s": ("store.per_track.put",),
    "part_mib": ("store.per_track.get",),
    "failure_share": ("store.stored_gb_per_day",),
    "poll_s": ("database.idle_claims_per_s",),
    "heartbeat_s": ("database.per_track.writes",),
}


def figure(found: Capacity, path: str) -> float:
    value: Any = found
    for name in path.split("."):
        value = getattr(value, name)
    return float(value)


@pytest.mark.parametrize("name", GROWS_WITH)
@given(data=st.data(), demand=demands)
def test_more_needs_more(name: str, data: st.DataObject, demand: Demand) -> None:
    less, more = sorted((data.draw(within(name)), data.draw(within(name))))
    little, much = (capacity(replace(demand, **{name: each})) for each in (less, more))
    for path in GROWS_WITH[name]:
        assert figure(little, path) <= figure(much, path) * (1 + 1e-12), path


@pytest.mark.parametrize("name", FALLS_WITH)
@given(data=st.data(), demand=demands)
def test_more_needs_less(name: str, data: st.DataObject, demand: Demand) -> None:
    less, more = sorted((data.draw(within(name)), data.draw(within(name))))
    little, much = (capacity(replace(demand, **{name: each})) for each in (less, more))
    for path in FALLS_WITH[name]:
        assert figure(little, path) >= figure(much, path) * (1 - 1e-12), path


@given(demand=demands, times=st.floats(0.001, 1))
def test_everything_per_day_is_in_proportion_to_the_tracks(demand: Demand, times: float) -> None:
    whole = capacity(demand)
    part = capacity(replace(demand, tracks_per_day=demand.tracks_per_day * times))
    for path in (
        "fleet.cores_busy_on_average",
        "fleet.cores_at_peak",
        "store.per_day.put",
        "store.per_day.get",
        "store.per_day.delete",
        "store.read_gb_per_day",
        "store.stored_gb_per_day",
        "database.per_day.writes",
        "cost.requests_per_month",
        "cost.storage_per_month_of_intake",
    ):
        assert math.isclose(
            figure(part, path), times * figure(whole, path), rel_tol=1e-9, abs_tol=1e-12
        ), path


@given(demand=demands)
def test_cpu_is_in_proportion_to_the_length(demand: Demand) -> None:
    twice = replace(demand, minutes=min(2 * demand.minutes, 240))
    times = twice.minutes / demand.minutes
    one, other = capacity(demand).fleet.cpu_s_per_track, capacity(twice).fleet.cpu_s_per_track
    assert math.isclose(other, times * one)


@given(demand=demands)
def test_no_tracks_need_nothing(demand: Demand) -> None:
    found = capacity(replace(demand, tracks_per_day=0))
    assert found.fleet.cores_at_peak == 0
    assert found.fleet.pods_at_peak == 0
    assert found.store.per_day.put == found.store.per_day.get == found.store.per_day.delete == 0
    assert found.database.per_day.writes == found.database.connections_at_peak == 0
    assert found.cost.requests_per_month == 0


@given(demand=demands)
def test_the_pods_have_the_cores_and_not_one_pod_more(demand: Demand) -> None:
    fleet = capacity(demand).fleet
    assert fleet.pods_at_peak * demand.cores_per_pod >= fleet.cores_at_peak * (1 - 1e-12)
    assert (fleet.pods_at_peak - 1) * demand.cores_per_pod < max(fleet.cores_at_peak, 1e-300)


def test_the_most_that_may_be_asked_is_finite() -> None:
    found = capacity(Demand(**{name: told["most"] for name, told in RANGES.items()}))

    def leaves(value: Any) -> list[float]:
        if isinstance(value, dict):
            return [leaf for each in value.values() for leaf in leaves(each)]
        return [value] if isinstance(value, int | float) else []

    assert all(math.isfinite(leaf) and leaf >= 0 for leaf in leaves(asdict(found)))


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("which", ["least", "most", "nan", "inf"])
def test_what_is_out_of_range_is_refused_by_name(name: str, which: str) -> None:
    least, most = RANGES[name]["least"], RANGES[name]["most"]
    beyond = {
        "least": math.nextafter(least, -math.inf),
        "most": math.nextafter(most, math.inf),
        "nan": math.nan,
        "inf": math.inf,
    }
    with pytest.raises(ConfigError) as refused:
        Demand(**{name: beyond[which]})
    assert f"--{name.replace('_', '-')} must be from {least:g} to {most:g}" in str(refused.value)


@pytest.mark.parametrize("seconds", [0.6, 5, 10.2, 10.4, 11.3, 20.5, 22, 65, 102.4, 210, 3600])
@pytest.mark.parametrize("asked_s", [10.0, 6.0, 4.0])
def test_segments_are_counted_as_they_are_cut(seconds: float, asked_s: float) -> None:
    from audio_processor.delivery.segments import TierLength, plan_cuts

    rates = (24_000, 32_000, 44_100)
    lengths = [TierLength(rate, math.ceil((seconds + 0.0427) * rate / 1024)) for rate in rates]
    cut = plan_cuts(lengths, asked_s)
    every_s = 10.24 if asked_s == 10 else asked_s
    assert {len(plan.segment_frames) for plan in cut} == {segments(seconds, every_s)}


def test_an_object_larger_than_a_part_is_begun_and_completed() -> None:
    assert requests_of_upload(1, 16) == requests_of_upload(16 * MIB, 16) == 1
    assert requests_of_upload(16 * MIB + 1, 16) == 4
    assert requests_of_upload(0, 16) == 1


def test_the_bill_is_the_requests_times_the_prices() -> None:
    demand = Demand(tracks_per_day=1000, retry_share=0, failure_share=0)
    one = requests_of_track(demand)
    expected = one.put * LIST_PRICES.put_per_1000 + one.get * LIST_PRICES.get_per_1000
    assert math.isclose(capacity(demand).cost.requests_per_day, expected)
    dearer = replace(LIST_PRICES, put_per_1000=2 * LIST_PRICES.put_per_1000)
    more = capacity(demand, dearer).cost.requests_per_day - expected
    assert math.isclose(more, one.put * LIST_PRICES.put_per_1000)
