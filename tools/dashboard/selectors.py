"""What the dashboard's variables select, and how an expression is put together from that."""

from __future__ import annotations

FLEET = 'namespace=~"$namespace", job=~"$job"'
"""Of all workers; for what each of them reads alike, and for recorded series."""
ONES = f'{FLEET}, instance=~"$instance"'
"""Of the chosen workers."""
NOT_OURS = (
    "source_missing|unsupported_media|corrupt_media|limit_exceeded|name_rejected"
    "|output_conflict|mastering_rejected"
)
"""Error codes of tracks that fail for what they are."""
PREFIX = "audio_processor"
COMPLETED, FAILED, RETRIED = (
    f'outcome="{outcome}"' for outcome in ("completed", "failed", "retry_later")
)


def rate(metric: str, by: str, match: str = "") -> str:
    """Return the sum of a counter's rates, per second, by these labels."""
    return f"sum by ({by}) (rate({_series(metric, match)}[$__rate_interval]))"


def quantile(q: float, metric: str, by: str = "", match: str = "") -> str:
    """Return a histogram's quantile by these labels."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q:g}, {rate(f'{metric}_bucket', labels, match)})"


def average(metric: str, by: str, match: str = "", over: str = "$__rate_interval") -> str:
    """Return a histogram's mean by these labels; nothing where nothing was observed."""
    total, count = (
        f"sum by ({by}) (rate({_series(f'{metric}_{part}', match)}[{over}]))"
        for part in ("sum", "count")
    )
    return f"{total} / ({count} > 0)"


def gauge(metric: str, aggregate: str = "", match: str = "") -> str:
    """Return a gauge of the chosen workers, aggregated (``sum``, ``max by (x)``) or each."""
    series = _series(metric, match)
    return f"{aggregate} ({series})" if aggregate else series


def _series(metric: str, match: str) -> str:
    selector = ", ".join(part for part in (ONES, match) if part)
    name = metric if metric.startswith("process_") else f"{PREFIX}_{metric}"
    return f"{name}{{{selector}}}"
