"""What one track asks of the object store and of the database, counted. Pure.

``tests/capacity/test_real_track.py`` holds these to a real track's requests and statements.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from audio_processor import capacity_figures as measured
from audio_processor.capacity_demand import Demand
from audio_processor.capacity_figures import Prices

MIB = 2**20


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
