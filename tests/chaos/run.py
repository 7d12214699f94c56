"""One run: tracks in, faults all the while, quiet, verdict.

::

    site → fleet → uploads → faults, watched and listened to → quiet → judge → a clean end
"""

from __future__ import annotations

import heapq
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from audio_processor import AudioProcessor, Settings
from tests.chaos.faults import KINDS, POISON, Effect, Stage, poison
from tests.chaos.fleet import Fleet, fleet, health, strays
from tests.chaos.judge import Upload, Verdict, judge, overwrites, validated, zombie_requests
from tests.chaos.listener import Listener
from tests.chaos.music import track
from tests.chaos.overdue import Overdue
from tests.chaos.site import DRAIN_S, RAW, READ_TIMEOUT_S, Site, site
from tests.chaos.watch import ENDED, Row, Watch
from tests.servers.database import DatabaseServer
from tests.servers.s3 import S3Server

TICK_S = 0.05
STARTING_S = 10.0
LEAD = 0.1
"""How far the faults may be ahead of the work, as a part of all."""
RESTARTED_S = 45.0
"""After the last fault, until servers, breakers (which wait longer each time) and workers are
themselves again."""
EXIT_GRACE_S = DRAIN_S + 3 * READ_TIMEOUT_S
"""What a pod would be given: the drain, and the requests that are under way at its end."""


@dataclass(frozen=True)
class Wish:
    """How large a run is to be."""

    tracks: int
    faults: int
    seed: int
    slots: int = 3
    max_attempts: int = 10
    pace_s: float = 2.0
    """Mean time between faults."""
    validated: int | None = None
    """How many completed ladders ``validate`` judges; None for all of them."""
    standstill_s: float = 120.0
    """In the quiet, nothing stands still for so long that is not stuck."""


@dataclass
class Story:
    """What happened in a run."""

    wish: Wish
    database: str
    tracks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    impossible: set[str] = field(default_factory=set)
    verdict: Verdict = field(default_factory=Verdict)
    recovered_s: dict[str, list[float]] = field(default_factory=dict)
    ladders_listened_to: int = 0
    listener_alive: bool = False
    """To the end."""
    listener_retries: int = 0
    zombies: int = 0
    zombie_requests: int = 0
    validated: int = 0
    overdue_s: float = 0.0
    """The longest that a row lay in the quiet with its lease run out and a worker idle."""

    @property
    def injected(self) -> int:
        """Faults so far, without those of the poison: they come by themselves."""
        return self.faults.total() - self.faults["poison"]

    seconds: float = 0.0


class Run:
    """The main thread of a run: what is due is done, who has died is started again."""

    def __init__(self, wish: Wish, where: Site, workers: Fleet, watch: Watch, story: Story) -> None:
        self.chance = random.Random(wish.seed)
        self.wish, self.where, self.workers, self.watch, self.story = (
            wish,
            where,
            workers,
            watch,
            story,
        )
        self.stage = Stage(where, workers, watch, self.chance, self.later, self.strike)
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._number = itertools.count()
        self._bag: list[str] = []
        self.overdue = Overdue()

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._number), what))

    def strike(self, kind: str) -> None:
        self.story.faults[kind] += 1

    def fault(self) -> None:
        """Do one fault: the next in the bag that can be done just now."""
        if not self._bag:
            more = [kind for kind, (_, share) in KINDS.items() for _ in range(share - 1)]
            # one of each first: a short run sees most kinds
            self._bag = [*self._shuffled(list(KINDS)), *self._shuffled(more)]
        for kind in list(dict.fromkeys(self._bag)):
            effect = KINDS[kind][0](self.stage)
            if effect is not Effect.NONE:
                self._bag.remove(kind)
            if effect is Effect.DONE:
                self.strike(kind)
            if effect is not Effect.NONE:
                return

    def _shuffled(self, kinds: list[str]) -> list[str]:
        self.chance.shuffle(kinds)
        return kinds

    def done(self) -> int:
        return self.story.injected

    def turn(self) -> None:
        """One turn of the loop."""
        self.workers.look()
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        time.sleep(TICK_S)

    def storm(self) -> None:
        """Faults at random moments, spread over the whole of the work."""
        next_at = time.monotonic()
        while not self.all_ended() and self.done() < self.wish.faults:
            ahead = self.done() / self.wish.faults > self.progress() + LEAD
            if not ahead and time.monotonic() >= next_at:
                self.fault()
                next_at = time.monotonic() + self.chance.expovariate(1 / self.wish.pace_s)
            self.turn()

    def quiet(self) -> bool:
        """Let everything end by itself; return whether it did, or stood still before."""
        moved_at, progress = time.monotonic(), self.progress()
        calm_at, struck = moved_at + RESTARTED_S, self.done()
        while self._due or not self.all_ended():
            self.turn()
            if self.progress() > progress:
                moved_at, progress = time.monotonic(), self.progress()
            if time.monotonic() - moved_at > self.wish.standstill_s:
                break
            if self._due or self.done() > struck:  # somebody sleeps yet, or a trap has sprung
                calm_at, struck = time.monotonic() + RESTARTED_S, self.done()
            if time.monotonic() > calm_at:
                self.overdue.look(time.monotonic(), self.watch.rows.values(), idle=self.idle())
        return self.all_ended()

    def idle(self) -> bool:
        """Whether some worker has been up for a while and has nothing in work."""
        return any(
            time.monotonic() - member.born_at > STARTING_S
            and not member.frozen
            and member.told_to is None
            and not self.watch.in_work(member.pid)
            for member in self.workers.members()
        )

    def progress(self) -> float:
        """How many of the rows have ended, 0…1."""
        rows = self.watch.rows
        return sum(row.status in ENDED for row in rows.values()) / max(1, len(rows))

    def all_ended(self) -> bool:
        return self.progress() == 1.0


def uploads(wish: Wish) -> list[Upload]:
    """The tracks of a run: nearly all good ones, and one of each kind of bad one."""
    good = [
        Upload(f"u{number:04d}", f"track{number:04d}.wav", track(number, wish.seed))
        for number in range(wish.tracks)
    ]
    bad = [
        Upload("poison", POISON, track(-1, wish.seed), ("attempts_exhausted",)),
        Upload("words", "words.mp3", b"words, no music\n" * 99, ("unsupported_media",)),
        Upload("gone", "gone.wav", None, ("source_missing",)),
        Upload("half", "half.wav", track(-2, wish.seed)[:99_000], ("corrupt_media",)),
    ]
    # early, so that there is time enough to come to their ends
    return [*good[:3], *bad, *good[3:]]


def warm_up(folder: Path) -> None:
    """Have the kernels compiled and cached: else every worker that starts compiles them."""
    settings = Settings.model_validate(
        {
            "database": {"path": folder / "warm.db"},
            "storage": {"folder": folder / "warm-store"},
            "scratch": {"folder": folder / "warm-scratch"},
        }
    )
    source = folder / "warm.wav"
    source.write_bytes(track(-3, 0))
    with AudioProcessor.from_settings(settings) as processor:
        processor.enqueue(source)
        assert processor.process_audio(source.name)


def chaos(wish: Wish, database: DatabaseServer, s3: S3Server, folder: Path) -> Story:
    """Run it all and return the story; the servers are there already."""
    started = time.monotonic()
    story = Story(wish, database.db_type)
    warm_up(folder)
    given = uploads(wish)
    story.tracks = len(given)
    with site(database, s3, folder, slots=wish.slots, max_attempts=wish.max_attempts) as where:
        for upload in given:
            if upload.data is not None:
                where.put(RAW + upload.file_name, upload.data)
            where.queue.insert(upload.upload_id, upload.file_name)
        listener = Listener(where, [u.track_id for u in given], random.Random(wish.seed + 1))
        with fleet(where, wish.slots) as workers, Watch(where) as watch, listener:
            run = Run(wish, where, workers, watch, story)
            poison(run.stage)
            run.storm()
            run.quiet()
            rows = dict(watch.rows)
            workers.rest(grace_s=EXIT_GRACE_S)
        if where.small_disk is None:
            story.impossible.add("disk full")
        story.verdict = judge(where, given, rows)
        _after(story, where, run, rows, listener)
        good = [u for u in given if rows[u.upload_id].status == "completed"]
        story.verdict.broken += validated(where, good, run.chance, wish.validated)
        story.validated = len(good) if wish.validated is None else min(len(good), wish.validated)
    story.seconds = time.monotonic() - started
    return story


def _after(story: Story, where: Site, run: Run, rows: dict[str, Row], listener: Listener) -> None:
    """What is to be seen besides rows and ladders: exits, leftovers, the listener, zombies."""
    verdict, workers = story.verdict, run.workers
    verdict.broken += [f"listener: {complaint}" for complaint in listener.verdict()]
    verdict.duplicated += [f"{u}: completed, and then not" for u in run.watch.undone]
    for ending in workers.endings:
        if ending.told_to in {"kill", None} and ending.returncode != -9:
            verdict.broken.append(f"worker ended by itself: {ending}")
        if ending.told_to in {"term", "term twice"} and ending.returncode != 0:
            if ending.returncode == -signal.SIGTERM and ending.age_s < STARTING_S:
                continue  # before it could have claimed anything
            verdict.broken.append(f"worker did not exit with 0: {ending}")
        if ending.told_to == "term" and ending.took_s > EXIT_GRACE_S:
            verdict.broken.append(f"worker outstayed its grace: {ending}")
    verdict.broken += [f"left behind: {what}" for what in swept(where)]
    story.recovered_s = dict(run.watch.recovered_s)
    story.ladders_listened_to = listener.ladders_seen
    story.listener_alive = listener.alive_to_the_end
    story.listener_retries = listener.retries
    verdict.stuck += run.overdue.stuck
    story.overdue_s = run.overdue.longest_s
    written = overwrites(where, run.stage.zombies, rows)
    verdict.broken += [f"a lost attempt wrote under a fixed name: {what}" for what in written]
    story.zombies = len(run.stage.zombies)
    story.zombie_requests = len(zombie_requests(where, run.stage.zombies, rows))


def swept(where: Site) -> list[str]:
    """Start one more worker and end it; return what is then still on the disk or running."""
    last = Fleet(where, 1)
    last.start(0)
    member = last.member(0)
    assert member is not None
    while health(where, "/ready")[0] != HTTPStatus.OK and member.process.poll() is None:
        time.sleep(TICK_S)
    last.rest(grace_s=EXIT_GRACE_S)
    left = [str(path.relative_to(where.scratch)) for path in where.scratch.rglob("*")]
    return [*left, *(f"FFmpeg {pid}" for pid in strays(where))]
