"""What the capacity model starts from: every figure that was measured, with what measures it.

Change one only together with the run that says so; ``tests/capacity`` counts requests and
statements on a real track, and holds the pages to these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Figure(NamedTuple):
    """A measured value."""

    value: float
    unit: str
    measured_with: str


_THROUGHPUT = "make bench-throughput"
_ON_SERVICES = f"{_THROUGHPUT} BACK_END=postgresql+s3"
_REAL_TRACK = "pytest tests/capacity/test_real_track.py"

AUDIO_S_PER_CPU_S = Figure(12.2, "s audio / CPU s", _THROUGHPUT)
"""Of a virtual core of a busy server, nothing pinned, as in a pod that shares its node; the native
encoder, the default ladder and loudness, no mastering preset. Over half an hour of loud and quiet
music, with the encodes that had to be repeated."""
UTILISATION = Figure(0.90, "of the cores", _THROUGHPUT)
"""With a track to each core, nothing pinned, while every slot has a track."""
MEMORY_BASE_MIB = Figure(185.0, "MiB", _ON_SERVICES)
"""The daemon with imports, kernels and pools; shared pages shared out."""
MEMORY_SLOT_MIB = Figure(32.0, "MiB / track in work", _ON_SERVICES)
"""Buffers, meters and the FFmpeg processes of one track."""
DELIVERED_BYTES_PER_S = Figure(50_000, "B / s audio", _THROUGHPUT)
"""Three tiers as MPEG-TS, the m4a, the waveform; the documents that do not grow are below."""
DELIVERED_BYTES_FIXED = Figure(12_000, "B / track", _REAL_TRACK)
"""metadata.json and the playlists."""
SCRATCH_DELIVERED_TIMES = Figure(2.0, "× delivered", _REAL_TRACK)
"""Beside the source, at the peak: every tier as ADTS, packaged, and the m4a."""

PUTS_PER_SEGMENT_AND_TIER = 1
PUTS_PER_TIER = 2
"""A tier's playlist under the attempt's own name, and under the fixed one."""
PUTS_PER_TRACK = 4
"""leftovers.json, waveform.json, metadata.json, the master; the m4a is counted by its parts."""
GETS_PER_TRACK = 2
"""What is there already: the master and leftovers.json. The source is counted by its parts."""
DELETES_PER_TRACK = 1
"""leftovers.json, once nothing is left over."""
MOVE_GETS, MOVE_PUTS, MOVE_DELETES = 2, 1, 1
"""A failed upload moved aside: looked at, copied, the copy looked at, the original deleted."""

CLAIM_SELECTS, CLAIM_WRITES, CLAIM_TRANSACTIONS = 1, 1, 1
"""On PostgreSQL one search for all that may be claimed; MySQL is asked twice and more. A claim that
finds nothing writes nothing."""
RESERVE_SELECTS, RESERVE_WRITES, RESERVE_TRANSACTIONS = 2, 1, 2
"""Whether another upload owns the output, and the mark that this one does."""
RENEWALS_PER_PUBLISH = 2
"""Before the first write to the store and before the master; each writes once."""
END_SELECTS, END_WRITES, END_TRANSACTIONS = 1, 1, 1
"""Status, history and result in one."""
CONNECTIONS_BESIDE_THE_JOBS = 3
"""Claim loop, heartbeat, the look at the queue's depth."""

RUNT_SHARE = 0.1
"""A last segment shorter than this share of one is merged into the one before it."""
LEAD_S = 0.0427
"""What the encoder puts before the programme, on every tier."""


@dataclass(frozen=True, slots=True)
class Prices:
    """A provider's list prices, in the currency named; ``source`` and ``as_of`` say whose."""

    put_per_1000: float
    """PUT, POST, COPY."""
    get_per_1000: float
    """GET, HEAD."""
    delete_per_1000: float
    storage_gb_month: float
    """Per GB kept for a month; reckoned in 10⁹ bytes."""
    currency: str
    source: str
    as_of: str


LIST_PRICES = Prices(
    put_per_1000=0.005,
    get_per_1000=0.0004,
    delete_per_1000=0.0,
    storage_gb_month=0.023,
    currency="USD",
    source="Amazon S3 Standard, US East (N. Virginia), first 50 TB (aws.amazon.com/s3/pricing)",
    as_of="2022-07",
)
"""An example to start from, not an offer: look the day's price up and give it."""
