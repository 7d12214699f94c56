"""The sound: what was measured on what was delivered."""

from __future__ import annotations

from tools.dashboard.panels import GREEN, RED, YELLOW, Builder, Query, figure, lines, spread
from tools.dashboard.selectors import ONES, average, rate

TITLE = "Sound"


def panels() -> list[Builder]:
    """Return the row's panels."""
    return [*_figures(), *_spreads()]


def _share_beyond(limits: str, of: str) -> str:
    """Return the share that the workers themselves found beyond the limits of their settings."""
    return (
        "sum(increase(audio_processor_delivered_out_of_tolerance_total"
        f'{{{ONES}, limit=~"{limits}"}}[$__range])) '
        f"/ (sum(increase(audio_processor_{of}_count{{{ONES}}}[$__range])) > 0)"
    )


def _share_above_full_scale() -> str:
    series = "audio_processor_delivered_true_peak_dbtp"
    return (
        f'1 - sum(increase({series}_bucket{{{ONES}, le="0.0"}}[$__range])) '
        f"/ (sum(increase({series}_count{{{ONES}}}[$__range])) > 0)"
    )


def _figures() -> list[Builder]:
    return [
        figure(
            "Too loud",
            "Share of the renditions above the configured target and its tolerance. "
            "The gate before publishing lets none through: anything but 0 is an incident.",
            "percentunit",
            Query(_share_beyond("too_loud", "delivered_loudness_lufs")),
            ((None, GREEN), (1e-6, RED)),
            width=4,
            none="none delivered",
        ),
        figure(
            "Above 0 dBTP",
            "Share of the renditions that clip in a converter. Anything but 0 is an incident.",
            "percentunit",
            Query(_share_above_full_scale()),
            ((None, GREEN), (1e-6, RED)),
            width=4,
            none="none delivered",
        ),
        figure(
            "Above the peak limit",
            "Share of the renditions above the configured limit (−1 dBTP by default): their codec "
            "overshot whatever the ceiling.",
            "percentunit",
            Query(_share_beyond("true_peak", "delivered_true_peak_dbtp")),
            ((None, GREEN), (0.02, YELLOW), (0.05, RED)),
            width=4,
            decimals=2,
            none="none delivered",
        ),
        figure(
            "Quieter than the target",
            "Share of the renditions that stay below the configured target for a stated reason: a "
            "gain that would be too much, peaks that would have to be crushed.",
            "percentunit",
            Query(_share_beyond("kept_quiet|too_quiet", "delivered_loudness_lufs")),
            ((None, GREEN), (0.1, YELLOW), (0.2, RED)),
            width=4,
            decimals=1,
            none="none delivered",
        ),
        figure(
            "Encodes a tier",
            "Mean number of encodes until one was in tolerance. Encoding is most of the CPU.",
            "none",
            Query(average("candidates_tried", "job", over="$__range")),
            ((None, GREEN), (1.8, YELLOW), (2.5, RED)),
            width=4,
            decimals=2,
            none="none delivered",
        ),
        figure(
            "Fails verification",
            "Jobs in the last hour whose ladder did not measure as promised; nothing of them was "
            "published.",
            "none",
            Query(
                "sum(audio_processor:tracks:increase1h"
                '{namespace=~"$namespace", job=~"$job", error_code="verification_failed"}) '
                "or vector(0)"
            ),
            ((None, GREEN), (1, RED)),
            width=4,
        ),
    ]


def _spreads() -> list[Builder]:
    return [
        spread(
            "Loudness delivered, $rendition",
            "Integrated loudness as measured on the decoded rendition. The target and its "
            "tolerance are the settings' (−14 LUFS ± 0.3); quieter tracks state why.",
            "LUFS",
            Query(
                rate("delivered_loudness_lufs_bucket", "le", 'rendition=~"$rendition"'), "{{le}}"
            ),
            width=24,
            repeat="rendition",
        ),
        spread(
            "True peak delivered, $rendition",
            "As measured on the decoded rendition. At most −1 dBTP is promised unless "
            "the settings say otherwise.",
            "dBTP",
            Query(
                rate("delivered_true_peak_dbtp_bucket", "le", 'rendition=~"$rendition"'), "{{le}}"
            ),
            width=24,
            repeat="rendition",
        ),
        lines(
            "Encodes until one was in tolerance",
            "Mean by tier over an hour. One is what a tier should take; six is the limit.",
            "none",
            Query(average("candidates_tried", "tier", over="1h"), "{{tier}}"),
            width=24,
            limit=2.5,
            decimals=2,
        ),
    ]
