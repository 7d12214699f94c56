"""How the work is done: workers, limits, FFmpeg, scratch space and logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from audio_processor.settings.base import Group, Problem, UpperCase, setting
from audio_processor.settings.cpus import granted_cpus


def _slots() -> int:
    """A track more than there are CPUs: while one decodes or publishes, the others fill them."""
    return granted_cpus() + 1


class WorkerSettings(Group):
    """How rows are claimed and what becomes of them when something fails."""

    concurrency: int = setting(
        default_factory=_slots,
        default_text="the CPUs that the cgroup grants, and one more",
        about="Tracks in work at once.",
        ge=1,
        le=256,
        also=("workers", "threads"),
    )
    poll_interval_s: float = setting(
        5.0, "Pause before looking again when nothing is pending.", gt=0, le=3600
    )
    lease_s: float = setting(
        90.0, "After this long without a heartbeat the row is another worker's.", ge=5, le=86400
    )
    heartbeat_s: float = setting(
        30.0, "How often the lease is renewed; less than half of it.", ge=1, le=43200
    )
    max_attempts: int = setting(
        6, "Tries of one track before it has failed for good.", ge=1, le=100, also=("retries",)
    )
    backoff_base_s: float = setting(
        30.0, "Longest pause before the second try; doubled for each further one.", gt=0, le=3600
    )
    backoff_cap_s: float = setting(3600.0, "The pause grows no longer than this.", gt=0, le=86400)
    drain_timeout_s: float = setting(
        300.0,
        "How long tracks in work may still take after SIGTERM; give a pod this much grace and "
        "`storage.read_timeout_s` more, for a request that is under way then.",
        ge=0,
        le=86400,
    )
    health_host: str = setting(
        "0.0.0.0",  # noqa: S104  # the kubelet asks from outside the pod
        "Address that `/live`, `/ready` and `/metrics` answer on.",
    )
    health_port: int = setting(8080, "Their port; 0 turns them off.", ge=0, le=65535)

    def problems(self) -> Iterator[Problem]:
        """Yield a heartbeat that one missed beat would turn into a lost lease, and the like."""
        if self.heartbeat_s >= self.lease_s / 2:
            yield Problem(
                "heartbeat_s",
                f"must be less than half of worker.lease_s, {self.lease_s:g}: "
                "one late beat would lose the lease",
            )
        if self.backoff_cap_s < self.backoff_base_s:
            yield Problem(
                "backoff_cap_s", f"must be at least worker.backoff_base_s, {self.backoff_base_s:g}"
            )


class LimitSettings(Group):
    """What an upload may be and cost at most. Uploads are hostile until proven otherwise."""

    max_duration_s: float = setting(14400.0, "Longest track.", gt=0, le=172800)
    max_size_bytes: int = setting(4 * 1024**3, "Largest upload.", ge=1024)
    max_channels: int = setting(8, "Most channels.", ge=1, le=64)
    min_sample_rate_hz: int = setting(8_000, "Lowest sample rate.", ge=1)
    max_sample_rate_hz: int = setting(192_000, "Highest sample rate.", ge=8_000)
    accept_truncated: bool = setting(
        False, "Whether a file that ends before its declared length is delivered as it is."
    )
    max_cover_bytes: int = setting(
        10 * 1024**2, "Largest cover art that is carried; a larger one is dropped.", ge=0
    )
    cpu_s: int = setting(3600, "CPU time of one FFmpeg process.", ge=10)
    stall_timeout_s: float = setting(
        120.0, "An FFmpeg process without progress for this long is ended.", ge=1, le=3600
    )
    memory_mib: int = setting(
        256,
        "Memory of one FFmpeg process: heap and stacks, not the program itself; 0 is no limit. "
        "A track takes 60.",
        ge=0,
        also=("memory", "rss_mib"),
    )
    address_space_mib: int = setting(
        4096,
        "Address space of one FFmpeg process, which counts what is reserved and never used; 0 is "
        "no limit. A track takes 700.",
        ge=0,
    )
    max_processes: int = setting(
        8192,
        "Threads of this user on the whole machine, beyond which an FFmpeg process starts no "
        "further one; 0 is no limit.",
        ge=0,
        also=("processes", "nproc"),
    )

    def problems(self) -> Iterator[Problem]:
        """Yield an empty range of sample rates, and limits in which no track can be read."""
        for name, least in (("memory_mib", 128), ("address_space_mib", 1024)):
            if 0 < getattr(self, name) < least:
                yield Problem(name, f"must be at least {least}, or 0 for no limit")
        if self.min_sample_rate_hz > self.max_sample_rate_hz:
            yield Problem(
                "min_sample_rate_hz",
                f"must be at most limits.max_sample_rate_hz, {self.max_sample_rate_hz}",
            )


class FFmpegSettings(Group):
    """Which FFmpeg does the decoding and encoding."""

    path: Path | None = setting(
        None,
        "The binary; else `ffmpeg` on PATH, else the one inside imageio-ffmpeg.",
        also=("binary", "executable"),
        example="/usr/bin/ffmpeg",
    )

    pin_cpus: bool = setting(
        True,
        "Whether each FFmpeg keeps to one CPU: a tenth cheaper. Never under a CPU quota, where "
        "the node's CPUs are shared.",
    )


class EncoderSettings(Group):
    """Which AAC encoder makes the renditions and the `.m4a`."""

    name: Literal["aac", "fdkaac"] = setting(
        "aac",
        "`aac` is FFmpeg's own. `fdkaac` runs the Fraunhofer encoder as a process of its own: "
        "better at low rates, and cheaper. It is not shipped: its licence is for you to read "
        "(docs/decisions/0025). Where it is asked for and missing, nothing starts.",
        also=("kind", "codec", "encoder"),
    )
    path: Path | None = setting(
        None,
        "The `fdkaac` binary; else `fdkaac` on PATH.",
        also=("binary", "executable"),
        example="/usr/bin/fdkaac",
    )


class ScratchSettings(Group):
    """Where a track lies while it is worked on."""

    folder: Path = setting(
        Path("data/scratch"),
        "Each job has a private folder in it; allow 3 × the upload's size, plus the outputs.",
        also=("path", "dir", "directory", "tmp"),
    )


class LoggingSettings(Group):
    """What is logged, and how it looks."""

    level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], UpperCase] = setting(
        "INFO", "Least severity that is logged."
    )
    format: Literal["auto", "json", "console"] = setting(
        "auto", "`auto` is `console` on a terminal and `json` elsewhere."
    )
