"""The faults: each a function that does it to a stage, and says whether it took effect."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial

from tests.chaos.fleet import Fleet, Member
from tests.chaos.site import LEASE_S, OUTPUT, SMALL_DISK_MIB, Site
from tests.chaos.watch import Watch
from tests.servers.flaky_proxy import Fault, Late, Seen, s3_error

POISON = "poison.wav"
"""A track that kills its worker: nothing else is to be the reason for its end."""
ARMED_S = 15.0
"""How long a trap waits for its request."""

Hook = Callable[[Seen], Fault | None]


class Effect(Enum):
    """What came of a fault."""

    NONE = auto()
    """It could not be done just now."""
    ARMED = auto()
    """It will be done by the request that it waits for, if one comes."""
    DONE = auto()


def _done(did: bool) -> Effect:
    return Effect.DONE if did else Effect.NONE


@dataclass
class Stage:
    """What a fault may touch."""

    site: Site
    fleet: Fleet
    watch: Watch
    chance: random.Random
    later: Callable[[float, Callable[[], object]], None]
    """Have something done on the main thread, seconds from now."""
    struck: Callable[[str], None]
    """Count a fault that a trap has done."""
    zombies: list[Zombie] = field(default_factory=list)
    skies: tuple[Sky, ...] = ()
    """What each door does to requests."""

    def __post_init__(self) -> None:
        self.skies = tuple(Sky() for _ in self.site.doors)
        for door, sky in zip(self.site.doors, self.skies, strict=True):
            door.weather = sky

    def worker(self, *, busy: bool = True) -> Member | None:
        """A running worker that is not frozen, with a track in work if ``busy``."""
        awake = [m for m in self.fleet.members() if not m.frozen and m.told_to is None]
        if busy:
            awake = [m for m in awake if self.watch.in_work(m.pid)]
        return self.chance.choice(awake) if awake else None


@dataclass(frozen=True)
class Zombie:
    """A worker that was stopped beyond its leases, and what it held then."""

    slot: int
    pid: int
    held: dict[str, str | None]
    """File name → token."""
    woken_at: float
    requests_before: int
    """How many requests its door had seen when it was woken."""


# ── the workers ──────────────────────────────────────────────────────────────────────────


def kill(stage: Stage) -> Effect:
    member = stage.worker()
    if member is None:
        return Effect.NONE
    stage.watch.hit("kill", stage.watch.in_work(member.pid))
    stage.fleet.kill(member)
    return Effect.DONE


def term(stage: Stage) -> Effect:
    member = stage.worker()
    if member is None:
        return Effect.NONE
    stage.fleet.term(member, twice=stage.chance.random() < 0.3)
    return Effect.DONE


def stop(stage: Stage) -> Effect:
    """The zombie: stopped for longer than its lease, then woken."""
    member = stage.worker()
    if member is None:
        return Effect.NONE
    _freeze(stage, member, "stop", LEASE_S + stage.chance.uniform(1.0, 4.0))
    return Effect.DONE


def kill_publishing(stage: Stage) -> Effect:
    """Killed with an object on its way: the store may take it or not."""
    member = stage.worker()
    if member is None:
        return Effect.NONE
    passes = stage.chance.random() < 0.5

    def strike(_: Seen) -> Fault | None:
        stage.watch.hit("kill publishing", stage.watch.in_work(member.pid))
        stage.fleet.kill(member)
        stage.struck("kill publishing")
        return None if passes else "reset"

    _trap(stage, member.slot, _publishing(stage.chance.randrange(18)), strike)
    return Effect.ARMED


def stop_publishing(stage: Stage) -> Effect:
    """Stopped with an object on its way, which reaches the store when others have the track."""
    member = stage.worker()
    if member is None:
        return Effect.NONE
    seconds = LEASE_S + stage.chance.uniform(1.0, 4.0)
    late = threading.Event()
    before = stage.chance.random() < 0.5  # the held object arrives before the sleeper wakes

    def strike(_: Seen) -> Fault | None:
        stage.struck("stop publishing")
        stage.later(0.0, partial(_freeze, stage, member, "stop publishing", seconds))
        stage.later(seconds + (-0.5 if before else 0.5), late.set)
        stage.fleet.freeze(member)
        return Late(partial(late.wait, 60))

    _trap(stage, member.slot, _publishing(stage.chance.randrange(18)), strike)
    return Effect.ARMED


def _freeze(stage: Stage, member: Member, kind: str, seconds: float) -> None:
    held = stage.watch.in_work(member.pid)
    stage.watch.hit(kind, held)
    stage.fleet.freeze(member)

    def thaw() -> None:
        door = stage.site.doors[member.slot]
        stage.zombies.append(
            Zombie(
                member.slot,
                member.pid,
                {row.file_name: row.token for row in held},
                time.monotonic(),
                len(door.seen),
            )
        )
        stage.fleet.thaw(member)

    stage.later(seconds, thaw)


# ── the database ─────────────────────────────────────────────────────────────────────────


def restart_database(stage: Stage) -> Effect:
    stage.watch.hit("database restart", stage.watch.in_work())
    stage.site.database.stop()
    stage.site.wire.cut()
    time.sleep(stage.chance.uniform(0.0, 2.0))
    stage.site.database.start()
    return Effect.DONE


def cut_connections(stage: Stage) -> Effect:
    """Whatever statement is under way dies with its connection."""
    return _done(stage.site.wire.cut() > 0)


def swallow_commit(stage: Stage) -> Effect:
    """The database commits, and the client never hears of it."""
    stage.site.wire.swallow_next_commit()
    return Effect.DONE


def lock_rows(stage: Stage) -> Effect:
    """A client that holds rows for a while: whoever writes them waits. No cycle comes of it."""
    rows = sorted((row.upload_id for row in stage.watch.in_work()), reverse=True)
    if not rows:
        return Effect.NONE
    chosen, pause_s = rows[:3], stage.chance.uniform(0.2, 1.0)
    threading.Thread(target=_hold, args=(stage.site, chosen, pause_s), daemon=True).start()
    return Effect.DONE


def _hold(site: Site, upload_ids: list[str], pause_s: float) -> None:
    with contextlib.suppress(Exception):  # a restart or a cut may end it
        connection = site.database.connect(site.config)
        connection.autocommit = False
        cursor = connection.cursor()
        for upload_id in upload_ids:
            cursor.execute(
                "UPDATE Uploads SET upload_type = upload_type WHERE upload_id = %s", (upload_id,)
            )
            time.sleep(pause_s)
        connection.rollback()
        connection.close()


# ── the store ────────────────────────────────────────────────────────────────────────────


def busy(stage: Stage) -> Effect:
    return _burst(stage, s3_error(503, "SlowDown"), 4)


def broken(stage: Stage) -> Effect:
    return _burst(stage, s3_error(500, "InternalError"), 4)


def reset(stage: Stage) -> Effect:
    return _burst(stage, "reset", 4)


def lost(stage: Stage) -> Effect:
    """Done, but the answer never comes."""
    return _burst(stage, "lost", 2)


def half(stage: Stage) -> Effect:
    return _burst(stage, "half", 2, lambda seen: seen.method == "GET")


def slow(stage: Stage) -> Effect:
    return _burst(stage, Late(partial(time.sleep, stage.chance.uniform(0.5, 2.0))), 3)


def outage(stage: Stage) -> Effect:
    """Nobody reaches the store for a while."""
    lifted_at = time.monotonic() + stage.chance.uniform(4.0, 12.0)
    answer: Fault = stage.chance.choice((s3_error(503, "ServiceUnavailable"), "reset"))
    stage.watch.hit("S3 outage", stage.watch.in_work())

    def weather(_: Seen) -> Fault | None:
        return answer if time.monotonic() < lifted_at else None

    for sky in stage.skies:
        sky.add(weather, lambda: time.monotonic() >= lifted_at)
    return Effect.DONE


def _burst(
    stage: Stage, fault: Fault, most: int, when: Callable[[Seen], bool] = lambda _: True
) -> Effect:
    member = stage.worker()
    if member is None:
        return Effect.NONE
    door = stage.site.doors[member.slot]
    door.inject(
        *[fault] * stage.chance.randint(1, most),
        when=lambda seen: when(seen) and not seen.path.endswith(POISON),
    )
    return Effect.DONE


# ── the machine ──────────────────────────────────────────────────────────────────────────


def fill_disk(stage: Stage) -> Effect:
    disk = stage.site.small_disk
    if disk is None:
        return Effect.NONE
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        for _ in range(SMALL_DISK_MIB * 4):
            file.write(bytes(256 * 1024))
            file.flush()
    stage.watch.hit("disk full", stage.watch.in_work())
    stage.later(stage.chance.uniform(1.0, 4.0), lambda: filler.unlink(missing_ok=True))
    return Effect.DONE


def hang_ffmpeg(stage: Stage) -> Effect:
    return _signal_ffmpeg(stage, signal.SIGSTOP)


def kill_ffmpeg(stage: Stage) -> Effect:
    return _signal_ffmpeg(stage, signal.SIGKILL)


def _signal_ffmpeg(stage: Stage, number: signal.Signals) -> Effect:
    for member in stage.fleet.members():
        for process in stage.fleet.ffmpegs(member):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)
                return Effect.DONE
    return Effect.NONE


# ── traps ────────────────────────────────────────────────────────────────────────────────


class _Publishing:
    """Accepts the n-th object that is put under the output prefix from now on."""

    def __init__(self, n: int) -> None:
        self._left = n
        self._lock = threading.Lock()

    def __call__(self, seen: Seen) -> bool:
        if seen.method != "PUT" or f"/{OUTPUT}" not in seen.path:
            return False
        with self._lock:
            self._left -= 1
            return self._left == -1


def _publishing(n: int) -> Callable[[Seen], bool]:
    return _Publishing(n)


class Sky:
    """What a door asks about each request: every hook that is not over yet, the first to answer."""

    def __init__(self) -> None:
        self._hooks: list[tuple[Hook, Callable[[], bool]]] = []
        self._lock = threading.Lock()

    def __call__(self, seen: Seen) -> Fault | None:
        with self._lock:
            self._hooks = [(hook, over) for hook, over in self._hooks if not over()]
            hooks = [hook for hook, _ in self._hooks]
        return next((fault for hook in hooks if (fault := hook(seen)) is not None), None)

    def add(self, hook: Hook, over: Callable[[], bool]) -> None:
        with self._lock:
            self._hooks.append((hook, over))


def _trap(stage: Stage, slot: int, when: Callable[[Seen], bool], strike: Hook) -> None:
    """Do it at the slot's next request of that kind, if one comes in time."""
    until, sprung = time.monotonic() + ARMED_S, threading.Event()

    def hook(seen: Seen) -> Fault | None:
        if sprung.is_set() or time.monotonic() > until or not when(seen):
            return None
        sprung.set()
        return strike(seen)

    stage.skies[slot].add(hook, lambda: sprung.is_set() or time.monotonic() > until)


KINDS: dict[str, tuple[Callable[[Stage], Effect], int]] = {
    "kill": (kill, 3),
    "kill publishing": (kill_publishing, 4),
    "term": (term, 3),
    "stop": (stop, 2),
    "stop publishing": (stop_publishing, 4),
    "database restart": (restart_database, 1),
    "connections cut": (cut_connections, 2),
    "commit swallowed": (swallow_commit, 3),
    "lock waits": (lock_rows, 2),
    "S3 503": (busy, 2),
    "S3 500": (broken, 2),
    "S3 reset": (reset, 2),
    "S3 answer lost": (lost, 3),
    "S3 half a body": (half, 2),
    "S3 slow": (slow, 2),
    "S3 outage": (outage, 1),
    "disk full": (fill_disk, 1),
    "FFmpeg hangs": (hang_ffmpeg, 2),
    "FFmpeg killed": (kill_ffmpeg, 3),
}
"""What there is, and how often in proportion."""
ROUND = sum(share for _, share in KINDS.values())
"""Faults until each kind has had its share."""


def poison(stage: Stage) -> None:
    """Kill whatever worker begins to fetch this track, every time."""
    for slot, sky in enumerate(stage.skies):

        def strike(seen: Seen, slot: int = slot) -> Fault | None:
            member = stage.fleet.member(slot)
            if seen.method != "GET" or not seen.path.endswith(f"/tracks/{POISON}") or not member:
                return None
            stage.fleet.kill(member)
            stage.struck("poison")
            return "reset"

        sky.add(strike, lambda: False)
