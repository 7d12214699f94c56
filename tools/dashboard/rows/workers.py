"""The workers, each by itself."""

from __future__ import annotations

from tools.dashboard.panels import GREEN, GREY, RED, YELLOW, Builder, Query, lines, rows_of, states
from tools.dashboard.selectors import ONES, gauge

TITLE = "Workers"


def panels() -> list[Builder]:
    """Return the row's panels."""
    return [*_states(), *_resources()]


def _states() -> list[Builder]:
    return [
        states(
            "Ready, or why not",
            "Whether each worker takes tracks, and what hinders it.",
            (("no", GREY), ("ready", GREEN), ("draining", YELLOW), ("hindered", RED)),
            Query(
                f"(3 * max by (instance, reason) (audio_processor_hindrance{{{ONES}, "
                'reason!="draining"} == 1)) '
                f"or (2 * max by (instance, reason) (audio_processor_hindrance{{{ONES}, "
                'reason="draining"} == 1)) '
                f"or max by (instance) (audio_processor_ready{{{ONES}}})",
                "{{instance}} {{reason}}",
            ),
        ),
        lines(
            "Tracks in work",
            "By worker, and all slots there are.",
            "none",
            Query(gauge("jobs_in_flight"), "{{instance}}"),
            Query(gauge("job_slots", "sum"), "slots"),
        ),
        rows_of(
            "Builds at work",
            "Versions of the program, of FFmpeg, of the encoder and of Python, and how many "
            "workers run each. More than one outside of a rollout is a fault.",
            "none",
            Query(gauge("build_info", "count by (version, ffmpeg, encoder, python)")),
            ("version", "ffmpeg", "encoder", "python"),
            value="workers",
        ),
    ]


def _resources() -> list[Builder]:
    return [
        lines(
            "Memory",
            "Resident memory of each worker's own process, without FFmpeg's. It does not grow "
            "with a track's length.",
            "bytes",
            Query(gauge("process_resident_memory_bytes"), "{{instance}}"),
        ),
        lines(
            "CPU of the worker's own process",
            "Cores; FFmpeg's processes are counted by stage, in the row above.",
            "cores",
            Query(f"rate({gauge('process_cpu_seconds_total')}[$__rate_interval])", "{{instance}}"),
        ),
        lines(
            "Open files",
            "File descriptors of each worker. A steady climb is a leak.",
            "none",
            Query(gauge("process_open_fds"), "{{instance}}"),
        ),
        lines(
            "Scratch in use",
            "What each worker has on its scratch disk. Nothing while it has no track in work.",
            "bytes",
            Query(gauge("scratch_bytes"), "{{instance}}"),
        ),
        lines(
            "Scratch free",
            "Room left on each worker's scratch disk. An emptyDir's sizeLimit is not in it.",
            "bytes",
            Query(gauge("scratch_free_bytes"), "{{instance}}"),
        ),
        lines(
            "Signs of life",
            "How long ago each worker's claim loop last turned, and how long ago it last read the "
            "queue's depth.",
            "s",
            Query(f"time() - {gauge('claim_loop_turned_timestamp_seconds')}", "loop, {{instance}}"),
            Query(f"time() - {gauge('queue_observed_timestamp_seconds')}", "queue, {{instance}}"),
            limit=180,
        ),
        lines(
            "Up for",
            "How long each worker has been running. A saw is a worker that dies again and again.",
            "s",
            Query(f"time() - {gauge('process_start_time_seconds')}", "{{instance}}"),
            width=24,
        ),
    ]
