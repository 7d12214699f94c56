"""What so many tracks a day need: a pure model from a demand to cores, pods, requests, writes.

The measured figures are ``capacity_figures``'s, what a track asks for is ``capacity_counts``'s.
Everything is per day unless its name says otherwise; *peak* is the busiest hour. No I/O, no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from audio_processor import capacity_figures as measured
from audio_processor.capacity_counts import (
    MIB,
    Requests,
    Statements,
    delivered_bytes,
    requests_of_track,
    requests_of_transfer,
    statements_of_track,
)
from audio_processor.capacity_demand import Demand
from audio_processor.capacity_figures import LIST_PRICES, Prices

DAY_S = 86_400.0
MONTH_DAYS = 30.0
GB = 10**9


@dataclass(frozen=True, slots=True)
class Fleet:
    """The machines."""

    cpu_s_per_track: float
    track_wall_s: float
    """From its claim to its end, every slot of the pod at work."""
    cores_busy_on_average: float
    cores_at_peak: float
    """With utilisation and headroom: what has to be there."""
    pods_on_average: int
    pods_at_peak: int
    memory_per_pod_mib: float
    memory_at_peak_gib: float
    scratch_per_pod_mib: float
    """Every slot with an average track at its widest."""
    scratch_at_peak_gib: float


@dataclass(frozen=True, slots=True)
class Store:
    """The object store."""

    per_track: Requests
    per_day: Requests
    puts_per_s_at_peak: float
    read_gb_per_day: float
    stored_gb_per_day: float
    stored_mb_per_track_minute: float


@dataclass(frozen=True, slots=True)
class Database:
    """The database."""

    per_track: Statements
    """Heartbeats included, as they come on average."""
    per_day: Statements
    """Without what idle workers ask."""
    writes_per_s_at_peak: float
    idle_claims_per_s: float
    """At most: every pod at peak with nothing to do."""
    connections_at_peak: int


@dataclass(frozen=True, slots=True)
class Cost:
    """In the prices' currency."""

    requests_per_day: float
    requests_per_month: float
    storage_per_month_of_intake: float
    """What one month's tracks cost each month, for as long as they are kept."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The answer."""

    demand: Demand
    prices: Prices
    fleet: Fleet
    store: Store
    database: Database
    cost: Cost


def capacity(demand: Demand, prices: Prices = LIST_PRICES) -> Capacity:
    """Return what the demand needs."""
    fleet = _fleet(demand)
    store = _store(demand)
    requests_per_day = store.per_day.cost(prices)
    return Capacity(
        demand=demand,
        prices=prices,
        fleet=fleet,
        store=store,
        database=_database(demand, fleet),
        cost=Cost(
            requests_per_day=requests_per_day,
            requests_per_month=MONTH_DAYS * requests_per_day,
            storage_per_month_of_intake=MONTH_DAYS
            * store.stored_gb_per_day
            * prices.storage_gb_month,
        ),
    )


def _attempts(demand: Demand) -> float:
    return demand.tracks_per_day * (1 + demand.retry_share)


def _fleet(demand: Demand) -> Fleet:
    cpu_s = demand.seconds / demand.speed
    busy = _attempts(demand) * cpu_s / DAY_S
    on_average = busy / (demand.utilisation * (1 - demand.headroom))
    at_peak = demand.peak_factor * on_average
    slot = demand.source_bytes + measured.SCRATCH_DELIVERED_TIMES.value * delivered_bytes(
        demand.seconds
    )
    memory = measured.MEMORY_BASE_MIB.value + demand.concurrency * measured.MEMORY_SLOT_MIB.value
    scratch = demand.concurrency * slot / MIB
    pods = math.ceil(at_peak / demand.cores_per_pod)
    return Fleet(
        cpu_s_per_track=cpu_s,
        track_wall_s=cpu_s * demand.concurrency / (demand.utilisation * demand.cores_per_pod),
        cores_busy_on_average=busy,
        cores_at_peak=at_peak,
        pods_on_average=math.ceil(on_average / demand.cores_per_pod),
        pods_at_peak=pods,
        memory_per_pod_mib=memory,
        memory_at_peak_gib=pods * memory / 1024,
        scratch_per_pod_mib=scratch,
        scratch_at_peak_gib=pods * scratch / 1024,
    )


def _store(demand: Demand) -> Store:
    per_track = requests_of_track(demand)
    fetched = requests_of_transfer(demand.source_bytes, demand.part_mib)
    failed = Requests(
        get=fetched + measured.MOVE_GETS, put=measured.MOVE_PUTS, delete=measured.MOVE_DELETES
    )
    failures = demand.tracks_per_day * demand.failure_share
    completed = demand.tracks_per_day - failures
    per_day = per_track * (_attempts(demand) - failures) + failed * failures
    delivered = delivered_bytes(demand.seconds)
    return Store(
        per_track=per_track,
        per_day=per_day,
        puts_per_s_at_peak=demand.peak_factor * per_day.put / DAY_S,
        read_gb_per_day=_attempts(demand) * demand.source_bytes / GB,
        stored_gb_per_day=completed * delivered / GB,
        stored_mb_per_track_minute=delivered / demand.minutes / 1e6,
    )


def _database(demand: Demand, fleet: Fleet) -> Database:
    per_track = statements_of_track(fleet.track_wall_s / demand.heartbeat_s)
    per_day = per_track * _attempts(demand)
    per_pod = min(2 * demand.pool_size, demand.concurrency + measured.CONNECTIONS_BESIDE_THE_JOBS)
    return Database(
        per_track=per_track,
        per_day=per_day,
        writes_per_s_at_peak=demand.peak_factor * per_day.writes / DAY_S,
        idle_claims_per_s=fleet.pods_at_peak / demand.poll_s,
        connections_at_peak=math.ceil(fleet.pods_at_peak * per_pod),
    )
