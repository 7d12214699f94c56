"""Is it well: what whoever is on call looks at first."""

from __future__ import annotations

from tools.dashboard.panels import BLUE, GREEN, RED, YELLOW, Builder, Query, figure, lines
from tools.dashboard.selectors import COMPLETED, FLEET, NOT_OURS, gauge, quantile, rate

TITLE = "Is it well?"


def panels() -> list[Builder]:
    """Return the row's panels."""
    return [*_figures(), *_courses()]


def _figures() -> list[Builder]:
    return [
        figure(
            "Alerts firing",
            "How many of this service's alerts fire now. Each has a section in docs/runbook.md.",
            "none",
            Query(
                'count(ALERTS{alertname=~"AudioProcessor.+", alertstate="firing", '
                'namespace=~"$namespace"}) or vector(0)'
            ),
            ((None, GREEN), (1, RED)),
        ),
        figure(
            "Longest wait",
            "How long the longest-waiting upload could have been claimed; the objective is 15 min.",
            "s",
            Query(f"max(audio_processor:queue_oldest_pending_seconds{{{FLEET}}})"),
            ((None, GREEN), (300, YELLOW), (900, RED)),
            none="no reading",
        ),
        figure(
            "Time late, 6 h",
            "Share of the last six hours in which an upload had waited longer than 15 minutes. "
            "The objective is at most 0.5 %.",
            "percentunit",
            Query(f"max(audio_processor:ingest_late:ratio6h{{{FLEET}}})"),
            ((None, GREEN), (0.005, YELLOW), (0.03, RED)),
            decimals=2,
            none="no reading",
        ),
        figure(
            "Failed by us, 6 h",
            "Share of the last six hours' tracks that failed for good for reasons other than what "
            "they are. The objective is at most 1 %.",
            "percentunit",
            Query(f"max(audio_processor:tracks_failed_ours:ratio6h{{{FLEET}}}) or vector(0)"),
            ((None, GREEN), (0.01, YELLOW), (0.03, RED)),
            decimals=2,
        ),
        figure(
            "Tracks per hour",
            "Tracks completed, at the present rate.",
            "none",
            Query(f"({rate('tracks_total', '', COMPLETED)} or vector(0)) * 3600"),
            ((None, BLUE),),
            decimals=0,
        ),
        figure(
            "Upload to published, p95",
            "From the upload, as its row has it, to the recorded completion. What is processed "
            "again counts from its upload too.",
            "s",
            Query(quantile(0.95, "upload_to_published_seconds")),
            ((None, BLUE),),
            none="none yet",
        ),
        figure(
            "Slots in use",
            "Tracks in work over what all workers may take at once.",
            "percentunit",
            Query(f"{gauge('jobs_in_flight', 'sum')} / {gauge('job_slots', 'sum')}"),
            ((None, BLUE),),
            decimals=0,
            none="no worker",
        ),
        figure(
            "Workers ready",
            "Workers that take tracks. None is as it should be while nothing is pending.",
            "none",
            Query(f"{gauge('ready', 'sum')} or vector(0)"),
            ((None, YELLOW), (1, GREEN)),
        ),
    ]


def _courses() -> list[Builder]:
    return [
        lines(
            "Tracks by how they ended",
            "Jobs per minute: completed, failed for good, to be tried again, handed back by a "
            "worker that stops or for want of a service, abandoned for a lost lease.",
            "cpm",
            Query(f"{rate('tracks_total', 'outcome')} * 60", "{{outcome}}"),
            stacked=True,
        ),
        lines(
            "Failures of ours",
            "Tracks that failed for good and are not at fault, by error code, in the last hour. "
            "It should be empty.",
            "none",
            Query(
                "sum by (error_code) (audio_processor:tracks:increase1h"
                f'{{{FLEET}, outcome="failed", error_code!~"{NOT_OURS}"}}) > 0',
                "{{error_code}}",
            ),
            bars=True,
            stacked=True,
        ),
        lines(
            "Uploads refused",
            "Tracks that failed for what they are, by error code, in the last hour. Some are "
            "normal; a wave is a broken client.",
            "none",
            Query(
                "sum by (error_code) (audio_processor:tracks:increase1h"
                f'{{{FLEET}, outcome="failed", error_code=~"{NOT_OURS}"}}) > 0',
                "{{error_code}}",
            ),
            bars=True,
            stacked=True,
        ),
    ]
