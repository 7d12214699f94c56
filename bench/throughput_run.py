"""What was seen of a daemon at work, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import linear_regression
from typing import Any

from audio_processor.capacity_figures import DELIVERED_BYTES_FIXED
from bench.process_tree import Machine, Usage


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at the clocks."""

    wall_s: float
    usage: Usage
    machine: Machine
    free_slots: bool
    """Whether the queue has nothing left to claim, or the daemon has not claimed all it can."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was spent between two moments."""

    cores: int
    wall_s: float
    cpu_s: float
    """The daemon's and its children's."""
    python_cpu_s: float
    """The daemon's own: the interpreter, and the kernels in its threads."""
    others_cpu_s: float
    """Other programs of this machine, this measurement included."""
    steal_s: float
    """What the hypervisor gave to other machines while something here could have run."""

    @property
    def utilisation(self) -> float:
        """Share of the cores that the daemon used, 0…1."""
        return self.cpu_s / (self.wall_s * self.cores)

    @property
    def taken_by_others(self) -> float:
        """Share of the cores that others used: instead of the daemon, or while it had no use."""
        return (self.others_cpu_s + self.steal_s) / (self.wall_s * self.cores)

    @property
    def utilisation_at_most(self) -> float:
        """What it would be without others, if all that they took had been taken from it."""
        return min(1.0, self.utilisation + self.taken_by_others)


@dataclass(frozen=True, slots=True)
class Run:
    """One concurrency: what went in and what it took."""

    concurrency: int
    pinned: bool
    """Whether each FFmpeg kept to one CPU."""
    tracks: int
    audio_s: float
    batch: Stretch
    """From the rows' insertion to the last completion."""
    busy: Stretch
    """The part of it in which every slot had a track."""
    tree_rss_mib: float
    """Peak; resident sets added up, so pages that processes share count more than once."""
    tree_pss_mib: float
    """The same with shared pages shared out: what the machine really gives."""
    python_rss_mib: float
    """The daemon's own high-water mark, which no sample can miss."""
    processes: int
    scratch_bytes: int
    """Peak of all jobs together."""
    delivered_bytes: int
    """All that was published of the batch; 0 where the store is no folder."""
    load_average: tuple[float, float, float]
    """Of the machine, when the run ended."""

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return f"{self.concurrency}" if self.pinned else f"{self.concurrency} free"

    @property
    def fills_its_slots(self) -> bool:
        """Whether there were tracks enough for a stretch in which no slot was free."""
        return self.tracks >= 2 * self.concurrency

    @property
    def audio_per_cpu_s(self) -> float:
        """Seconds of audio per CPU second, over the batch."""
        return self.audio_s / self.batch.cpu_s

    @property
    def audio_per_wall_s(self) -> float:
        """Seconds of audio per second while every slot is busy: what a standing queue gets."""
        return self.audio_per_cpu_s * self.busy.cpu_s / self.busy.wall_s

    def as_row(self) -> dict[str, Any]:
        """Return it with what follows from it, for JSON."""
        return {
            **asdict(self),
            "audio_per_cpu_s": self.audio_per_cpu_s,
            "audio_per_wall_s": self.audio_per_wall_s,
            "utilisation": self.busy.utilisation,
            "utilisation_at_most": self.busy.utilisation_at_most,
            "taken_by_others": self.busy.taken_by_others,
        }


@dataclass(slots=True)
class Watched:
    """What was seen of a daemon while it worked."""

    moments: list[Moment] = field(default_factory=list)
    tree_rss_mib: float = 0.0
    tree_pss_mib: float = 0.0
    python_rss_mib: float = 0.0
    processes: int = 0
    scratch_bytes: int = 0

    def stretch(self, cores: int, *, busy: bool) -> Stretch:
        """Return all of it, or from the first to the last moment at which no slot was free."""
        there = [one for one in self.moments if not (busy and one.free_slots)]
        if len(there) < 2:  # too short to have been seen twice with every slot in use
            there = self.moments
        first, last = there[0], there[-1]
        spent = last.machine - first.machine
        cpu_s = last.usage.cpu_s - first.usage.cpu_s
        return Stretch(
            cores=cores,
            wall_s=last.wall_s - first.wall_s,
            cpu_s=cpu_s,
            python_cpu_s=last.usage.own_cpu_s - first.usage.own_cpu_s,
            others_cpu_s=max(0.0, spent.busy_s - cpu_s),
            steal_s=spent.steal_s,
        )


def figures(runs: Sequence[Run]) -> dict[str, float]:
    """Return what these runs say of the figures that the capacity model starts from.

    A pod shares its node, so nothing is pinned there, and speaks to services, whose clients take
    memory: a line through the runs on them. What was delivered is known where it is in a folder.
    """
    found: dict[str, float] = {}
    free = [one for one in runs if not one.pinned]
    if free:
        found["AUDIO_S_PER_CPU_S"] = free[-1].audio_per_cpu_s
        if free[-1].fills_its_slots:
            found["UTILISATION"] = free[-1].busy.utilisation
    delivered = sum(one.delivered_bytes for one in runs)
    if delivered:
        documents = DELIVERED_BYTES_FIXED.value * sum(one.tracks for one in runs)
        found["DELIVERED_BYTES_PER_S"] = (delivered - documents) / sum(one.audio_s for one in runs)
    elif len({one.concurrency for one in runs}) > 1:
        slots = [one.concurrency for one in runs]
        slope, base = linear_regression(slots, [one.tree_pss_mib for one in runs])
        found |= {"MEMORY_BASE_MIB": base, "MEMORY_SLOT_MIB": slope}
    return found
