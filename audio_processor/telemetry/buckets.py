"""Where the histograms are fine: where a decision hangs on it."""

from __future__ import annotations

STAGE_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
TRACK_S = (1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600)
INGEST_S = (
    10, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 259_200,
)  # fmt: skip
REALTIME = (0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200)
ATTEMPTS = (1, 2, 3, 4, 5, 6, 8, 10, 20)
CANDIDATES = (1, 2, 3, 4, 5, 6, 8, 10, 15)
TRUE_PEAK_DBTP = (
    -20, -12, -9, -6, -4, -3, -2.5, -2, -1.75, -1.6, -1.5, -1.4, -1.3, -1.2, -1.1, -1.0, -0.9,
    -0.75, -0.5, -0.25, 0.0, 0.5, 1.0,
)  # fmt: skip
"""Around the planner's target of −1.5, the delivered limit of −1 and full scale."""
STORAGE_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
DATABASE_S = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
)  # fmt: skip
_FROM_TARGET_LU = (
    -16, -10, -6, -4, -2.5, -2, -1.5, -1, -0.75, -0.5, -0.4, -0.3, -0.2, -0.1, -0.05, 0, 0.05,
    0.1, 0.2, 0.3, 0.4, 0.5, 1, 2, 5,
)  # fmt: skip


def loudness_lufs(target_lufs: float) -> tuple[float, ...]:
    """Return bounds that are 0.05 LU apart at the target and wider the further off."""
    return tuple(round(target_lufs + offset_lu, 2) for offset_lu in _FROM_TARGET_LU)
