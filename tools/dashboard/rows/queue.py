"""The queue: what waits, and how it is worked off."""

from __future__ import annotations

from tools.dashboard.panels import Builder, Query, lines, spread
from tools.dashboard.selectors import COMPLETED, FAILED, FLEET, RETRIED, average, gauge, rate

TITLE = "Queue"


def panels() -> list[Builder]:
    """Return the row's panels."""
    return [
        lines(
            "Pending and in work",
            "Uploads that wait, and tracks at work. KEDA counts both, with or without workers.",
            "none",
            Query(f"max(audio_processor:queue_pending{{{FLEET}}})", "pending"),
            Query(gauge("jobs_in_flight", "sum"), "in work"),
            Query('max(audio_processor:keda_pending{namespace=~"$namespace"})', "both, by KEDA"),
        ),
        lines(
            "Longest wait",
            "How long the longest-waiting upload could have been claimed; the objective is 15 min.",
            "s",
            Query(f"max(audio_processor:queue_oldest_pending_seconds{{{FLEET}}})", "oldest"),
            limit=900,
        ),
        lines(
            "Taken up and ended",
            "Claims and ends per minute. Claims above completions are tries that have to be made "
            "again.",
            "cpm",
            Query(f"{rate('claims_total', '')} * 60", "claimed"),
            Query(f"{rate('tracks_total', '', COMPLETED)} * 60", "completed"),
            Query(f"{rate('tracks_total', '', FAILED)} * 60", "failed"),
        ),
        spread(
            "Attempts of completed tracks",
            "The attempt at which tracks completed. All of them belong in the lowest row.",
            "none",
            Query(rate("attempts_bucket", "le", COMPLETED), "{{le}}"),
        ),
        lines(
            "To be tried again, by reason",
            "Jobs per minute that put their track back, by error code.",
            "cpm",
            Query(
                f"{rate('tracks_total', 'error_code', RETRIED)} * 60",
                "{{error_code}}",
            ),
            stacked=True,
        ),
        lines(
            "Leases lost, and mean attempt",
            "Leases lost to another worker in 5 minutes, and the mean number of the attempt at "
            "which tracks completed.",
            "none",
            Query(f"sum(increase(audio_processor_lease_losses_total{{{FLEET}}}[5m]))", "lost"),
            Query(average("attempts", "outcome", over="1h"), "mean attempt, {{outcome}}"),
        ),
    ]
