"""What so many tracks a day need: a pure model from a demand to cores, pods, requests, writes.

The measured figures are ``capacity_figures``'s. Everything is per day unless its name says
otherwise; *peak* is the busiest hour. No I/O, no clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from audio_processor import capacity_figures as measured
from audio_processor.capacity_figures import LIST_PRICES, Prices
from audio_processor.errors import ConfigError

DAY_S = 86_400.0
MONTH_DAYS = 30.0
MIB = 2**20
GB = 10**9


def _asked(default: float, least: float, most: float, about: str) -> Any:
    return field(default=default, metadata={"least": least, "most": most, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What is asked of the fleet. Raises ``ConfigError`` that names the option and its range."""

    tracks_per_day: float = _asked(1e6, 0, 1e9, "Tracks that arrive in a day.")
    minutes: float = _asked(3.5, 0.01, 240, "Length of the average track.")
    peak_factor: float = _asked(2.0, 1, 100, "The busiest hour over the average one.")
    headroom: float = _asked(0.2, 0, 0.9, "Share of the cores that stays free in that hour.")
    retry_share: float = _asked(0.01, 0, 1, "Attempts made again, whole, per track.")
    failure_share: float = _asked(0.01, 0, 1, "Tracks that fail for good.")
    source_kbps: float = _asked(1411.2, 8, 40_000, "Bit rate of the uploads, kbit/s.")
    cores_per_pod: float = _asked(2, 0.1, 256, "CPU request of a pod.")
    concurrency: float = _asked(2, 1, 256, "worker.concurrency: tracks in work in a pod.")
    utilisation: float = _asked(measured.UTILISATION.value, 0.05, 1, "Of the cores, busy slots.")
    speed: float = _asked(
        measured.AUDIO_S_PER_CPU_S.value, 0.1, 1000, "Audio seconds per CPU second."
    )
    tiers: float = _asked(3, 1, 8, "Rungs of the ladder.")
    segment_s: float = _asked(10.24, 2, 66, "Length of a segment as it is cut.")
    part_mib: float = _asked(16, 5, 512, "storage.part_size_mib.")
    heartbeat_s: float = _asked(30, 1, 43_200, "worker.heartbeat_s.")
    poll_s: float = _asked(5, 0.1, 3600, "worker.poll_interval_s.")
    pool_size: float = _asked(5, 1, 100, "database.pool_size.")

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least, most = getattr(self, each.name), *_range(each)
            if not least <= value <= most:  # a NaN is in no range
                option = each.name.replace("_", "-")
                raise ConfigError(f"--{option} must be from {least:g} to {most:g}, not {value:g}.")

    @property
    def seconds(self) -> float:
        """Length of the average track."""
        return self.minutes * 60

    @property
    def source_bytes(self) -> float:
        """Size of the average upload."""
        return self.seconds * self.source_kbps * 1000 / 8


def _range(each: Any) -> tuple[float, float]:
    return each.metadata["least"], each.metadata["most"]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests to the object store. There are no HEADs: the program makes none."""

    get: float
    put: float
    """PUT, POST and COPY, which cost the same."""
    delete: float

    def __add__(self, other: Requests) -> Requests:
        return Requests(self.get + other.get, self.put + other.put, self.delete + other.delete)

    def __mul__(self, times: float) -> Requests:
        return Requests(self.get * times, self.put * times, self.delete * times)

    def cost(self, prices: Prices) -> float:
        """Return what they cost, in the prices' currency."""
        gets, puts = self.get * prices.get_per_1000, self.put * prices.put_per_1000
        return (gets + puts + self.delete * prices.delete_per_1000) / 1000


@dataclass(frozen=True, slots=True)
class Statements:
    """What the database is asked: rows read for, rows written, transactions."""

    selects: float
    writes: float
    transactions: float

    def __add__(self, other: Statements) -> Statements:
        return Statements(
            self.selects + other.selects,
            self.writes + other.writes,
            self.transactions + other.transactions,
        )

    def __mul__(self, times: float) -> Statements:
        return Statements(self.selects * times, self.writes * times, self.transactions * times)


def segments(seconds: float, segment_s: float) -> int:
    """Return into how many segments a tier is cut: what is left over and too short is merged."""
    return 1 + max(0, math.floor((seconds + measured.LEAD_S) / segment_s - measured.RUNT_SHARE))


def requests_of_transfer(size_bytes: float, part_mib: float) -> int:
    """Return the requests that fetch an object: one a part."""
    return max(1, math.ceil(size_bytes / (part_mib * MIB)))


def requests_of_upload(size_bytes: float, part_mib: float) -> int:
    """Return the PUTs and POSTs that store an object: begun and completed where it has parts."""
    parts = requests_of_transfer(size_bytes, part_mib)
    return parts if parts == 1 else parts + 2


def delivered_bytes(seconds: float) -> float:
    """Return the size of all that is published of a track."""
    return measured.DELIVERED_BYTES_FIXED.value + seconds * measured.DELIVERED_BYTES_PER_S.value


def requests_of_track(demand: Demand, m4a_kbps: float = 135.0) -> Requests:
    """Return what one track asks of the store, claimed for the first time and completed."""
    cut = segments(demand.seconds, demand.segment_s)
    m4a_bytes = demand.seconds * m4a_kbps * 1000 / 8
    per_tier = measured.PUTS_PER_SEGMENT_AND_TIER * cut + measured.PUTS_PER_TIER
    return Requests(
        get=requests_of_transfer(demand.source_bytes, demand.part_mib) + measured.GETS_PER_TRACK,
        put=demand.tiers * per_tier
        + measured.PUTS_PER_TRACK
        + requests_of_upload(m4a_bytes, demand.part_mib),
        delete=measured.DELETES_PER_TRACK,
    )


def statements_of_track(heartbeats: float = 0.0) -> Statements:
    """Return what one track asks of the database, from its claim to its row's end."""
    renewals = measured.RENEWALS_PER_PUBLISH + heartbeats
    return Statements(
        selects=measured.CLAIM_SELECTS + measured.RESERVE_SELECTS + measured.END_SELECTS,
        writes=measured.CLAIM_WRITES + measured.RESERVE_WRITES + measured.END_WRITES + renewals,
        transactions=measured.CLAIM_TRANSACTIONS
        + measured.RESERVE_TRANSACTIONS
        + measured.END_TRANSACTIONS
        + renewals,
    )


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
