"""The command that reckons what a load needs."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Annotated, Any

import typer

from audio_processor.capacity import capacity as reckon
from audio_processor.capacity_demand import Demand
from audio_processor.capacity_figures import LIST_PRICES
from audio_processor.cli.root import app
from audio_processor.cli.shared import JsonOption, print_json, the_console
from audio_processor.errors import ConfigError

_ABOUT = {each.name: each.metadata for each in fields(Demand)}
_DEFAULT = Demand()


def _asked(name: str) -> Any:
    told = _ABOUT[name]
    return typer.Option(help=f"{told['about']} From {told['least']:g} to {told['most']:g}.")


def _price(of: str) -> Any:
    return typer.Option(help=f"{of}, in --currency.", rich_help_panel="Prices")


@app.command(rich_help_panel="Files")
def capacity(
    tracks_per_day: Annotated[float, _asked("tracks_per_day")] = _DEFAULT.tracks_per_day,
    minutes: Annotated[float, _asked("minutes")] = _DEFAULT.minutes,
    peak_factor: Annotated[float, _asked("peak_factor")] = _DEFAULT.peak_factor,
    headroom: Annotated[float, _asked("headroom")] = _DEFAULT.headroom,
    retry_share: Annotated[float, _asked("retry_share")] = _DEFAULT.retry_share,
    failure_share: Annotated[float, _asked("failure_share")] = _DEFAULT.failure_share,
    source_kbps: Annotated[float, _asked("source_kbps")] = _DEFAULT.source_kbps,
    cores_per_pod: Annotated[float, _asked("cores_per_pod")] = _DEFAULT.cores_per_pod,
    concurrency: Annotated[float, _asked("concurrency")] = _DEFAULT.concurrency,
    utilisation: Annotated[float, _asked("utilisation")] = _DEFAULT.utilisation,
    speed: Annotated[float, _asked("speed")] = _DEFAULT.speed,
    tiers: Annotated[float, _asked("tiers")] = _DEFAULT.tiers,
    segment_s: Annotated[float, _asked("segment_s")] = _DEFAULT.segment_s,
    part_mib: Annotated[float, _asked("part_mib")] = _DEFAULT.part_mib,
    heartbeat_s: Annotated[float, _asked("heartbeat_s")] = _DEFAULT.heartbeat_s,
    poll_s: Annotated[float, _asked("poll_s")] = _DEFAULT.poll_s,
    pool_size: Annotated[float, _asked("pool_size")] = _DEFAULT.pool_size,
    price_put: Annotated[float, _price("1,000 PUT, POST, COPY")] = LIST_PRICES.put_per_1000,
    price_get: Annotated[float, _price("1,000 GET")] = LIST_PRICES.get_per_1000,
    price_delete: Annotated[float, _price("1,000 DELETE")] = LIST_PRICES.delete_per_1000,
    price_storage: Annotated[float, _price("A GB-month")] = LIST_PRICES.storage_gb_month,
    currency: Annotated[
        str, typer.Option(help="What prices are in.", rich_help_panel="Prices")
    ] = LIST_PRICES.currency,
    as_json: JsonOption = False,
) -> None:
    """Reckon what so many tracks a day need: cores, pods, memory, requests, writes, their cost.

    From figures that were measured, all of them shown; docs/capacity.md says how.
    """
    given = dict(locals())
    demand = Demand(**{each.name: given[each.name] for each in fields(Demand)})
    prices = replace(
        LIST_PRICES,
        put_per_1000=_checked("price-put", price_put),
        get_per_1000=_checked("price-get", price_get),
        delete_per_1000=_checked("price-delete", price_delete),
        storage_gb_month=_checked("price-storage", price_storage),
        currency=currency,
    )
    if prices != LIST_PRICES:  # what was given is the operator's word, not the list's
        prices = replace(prices, source="prices given on the command line", as_of="now")
    found = reckon(demand, prices)
    if as_json:
        print_json({**asdict(found), "measured": _measured()})
        return
    _show(found)


def _checked(option: str, price: float) -> float:
    if not 0 <= price <= 1000:
        raise ConfigError(f"--{option} must be from 0 to 1000, not {price:g}.")
    return price


def _measured() -> dict[str, Any]:
    from audio_processor import capacity_figures

    figures = vars(capacity_figures).items()
    return {
        name.lower(): value._asdict()
        for name, value in figures
        if isinstance(value, capacity_figures.Figure)
    }


def _show(found: Any) -> None:
    from rich.table import Table

    from audio_processor.capacity_words import sections

    console = the_console()
    for section in sections(found):
        table = Table(title=section.title, title_justify="left", show_header=False)
        table.add_column("what", min_width=24)
        table.add_column("amount", justify="right", no_wrap=True)
        table.add_column("why", style="dim")
        for what, amount, why in section.rows:
            bold = "**" in what
            shown = what.replace("**", "").replace("`", "")
            table.add_row(shown, amount, why.replace("`", ""), style="bold" if bold else None)
        console.print(table)
