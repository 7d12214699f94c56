"""A capacity in rows of words: what the terminal and the page show, from one place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields

from audio_processor import capacity_figures
from audio_processor.capacity import Capacity
from audio_processor.capacity_figures import Figure, Prices

Row = tuple[str, str, str]
"""What, how much, and from what it follows."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table: its title and rows."""

    title: str
    rows: tuple[Row, ...]


def sections(found: Capacity) -> tuple[Section, ...]:
    """Return the answer, then everything that it assumes."""
    return (
        Section("Machines", tuple(_machines(found))),
        Section("Object store", tuple(_store(found))),
        Section("Database", tuple(_database(found))),
        Section("Cost", tuple(_cost(found))),
        Section("Asked", tuple(_asked(found))),
        Section("Measured", tuple(_measured())),
        Section("Prices", tuple(_prices(found.prices))),
    )


def markdown(found: Capacity, titles: Collection[str] | None = None) -> str:
    """Return the sections, or those with these titles, as markdown tables."""
    lines = []
    for section in sections(found):
        if titles is not None and section.title not in titles:
            continue
        lines += [f"| {section.title} | | |", "|---|--:|---|"]
        lines += [f"| {what} | {amount} | {why} |" for what, amount, why in section.rows]
        lines.append("")
    return "\n".join(lines)


def number(value: float) -> str:
    """Return three significant digits, or the whole number where it has more: 1,234,567."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _machines(found: Capacity) -> Iterator[Row]:
    asked, fleet = found.demand, found.fleet
    yield "CPU seconds per track", number(fleet.cpu_s_per_track), "length ÷ speed"
    yield (
        "cores that work, on average",
        number(fleet.cores_busy_on_average),
        "every attempt, at any hour",
    )
    yield (
        "**cores to have in the busiest hour**",
        number(fleet.cores_at_peak),
        f"× {asked.peak_factor:g} ÷ {asked.utilisation:.0%} ÷ (1 − {asked.headroom:.0%})",
    )
    yield (
        "**pods in the busiest hour**",
        number(fleet.pods_at_peak),
        f"of {asked.cores_per_pod:g} cores; the autoscaler's upper bound",
    )
    yield "pods on average", number(fleet.pods_on_average), "as KEDA follows the queue"
    yield (
        "a track's way, seconds",
        number(fleet.track_wall_s),
        f"with {asked.concurrency:g} in work in the pod",
    )
    yield "memory per pod, MiB", number(fleet.memory_per_pod_mib), "base + a slot's × concurrency"
    yield "memory in the busiest hour, GiB", number(fleet.memory_at_peak_gib), "all pods"
    yield (
        "scratch per pod, MiB",
        number(fleet.scratch_per_pod_mib),
        "average tracks; size it for the longest",
    )
    yield "scratch in the busiest hour, GiB", number(fleet.scratch_at_peak_gib), "all pods"


def _store(found: Capacity) -> Iterator[Row]:
    store, asked = found.store, found.demand
    per_track, per_day = store.per_track, store.per_day
    yield (
        "PUT and POST per track",
        number(per_track.put),
        f"{asked.tiers:g} tiers × (segments + 2) + 4 + the m4a's parts",
    )
    yield "GET per track", number(per_track.get), "the source's parts + 2"
    yield "DELETE per track", number(per_track.delete), ""
    yield "HEAD per track", "0", "a GET of one byte tells more"
    yield "PUT, POST, COPY per day", number(per_day.put), "retries, failures moved aside"
    yield "GET per day", number(per_day.get), ""
    yield "DELETE per day", number(per_day.delete), ""
    yield (
        "PUT per second in the busiest hour",
        number(store.puts_per_s_at_peak),
        "S3 takes 3,500 a second on each partition of the keys, and adds partitions",
    )
    yield "read per day, GB", number(store.read_gb_per_day), "uploads, once an attempt"
    yield "stored per day, GB", number(store.stored_gb_per_day), "completed tracks"
    yield "stored per minute of a track, MB", number(store.stored_mb_per_track_minute), ""


def _database(found: Capacity) -> Iterator[Row]:
    database = found.database
    one = database.per_track
    yield (
        "row writes per track",
        number(one.writes),
        "claim, output, two renewals, end; and the heartbeats",
    )
    yield "SELECTs per track", number(one.selects), ""
    yield "transactions per track", number(one.transactions), ""
    yield "row writes per day", number(database.per_day.writes), ""
    yield "row writes per second in the busiest hour", number(database.writes_per_s_at_peak), ""
    yield (
        "claims per second that find nothing, at most",
        number(database.idle_claims_per_s),
        "every pod of the busiest hour without work",
    )
    yield (
        "connections in the busiest hour",
        number(database.connections_at_peak),
        "jobs + 3 a pod, at most 2 × pool_size",
    )


def _cost(found: Capacity) -> Iterator[Row]:
    cost, prices = found.cost, found.prices
    unit = prices.currency
    yield f"requests per day, {unit}", number(cost.requests_per_day), "at the prices below"
    yield f"requests per 30 days, {unit}", number(cost.requests_per_month), ""
    yield (
        f"keeping 30 days' tracks, {unit} per month",
        number(cost.storage_per_month_of_intake),
        "every month anew, for as long as they are kept; uploads not included",
    )


def _asked(found: Capacity) -> Iterator[Row]:
    for each in fields(found.demand):
        name = f"`--{each.name.replace('_', '-')}`"
        yield name, number(getattr(found.demand, each.name)), each.metadata["about"]


def _measured() -> Iterator[Row]:
    for name, value in vars(capacity_figures).items():
        if isinstance(value, Figure):
            words = name.lower().replace("_", " ")
            yield words, f"{number(value.value)} {value.unit}", f"`{value.measured_with}`"


def _prices(prices: Prices) -> Iterator[Row]:
    whose = f"{prices.source}, as of {prices.as_of}"
    yield f"1,000 PUT, POST, COPY, {prices.currency}", f"{prices.put_per_1000:g}", whose
    yield f"1,000 GET, {prices.currency}", f"{prices.get_per_1000:g}", "the same"
    yield f"1,000 DELETE, {prices.currency}", f"{prices.delete_per_1000:g}", "the same"
    yield f"GB kept for a month, {prices.currency}", f"{prices.storage_gb_month:g}", "the same"
