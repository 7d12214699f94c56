"""The workers and who looks after them: dead ones are started again, as Kubernetes would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.site import Site
from tests.servers.daemon import as_user

ROOT = Path(__file__).parents[2]
TICK_S = 0.1


@dataclass
class Ending:
    """How one worker process ended."""

    slot: int
    pid: int
    returncode: int
    told_to: str | None
    """What it was told to end by: ``kill``, ``term``, ``term twice``; None for nothing of ours."""
    took_s: float
    """From being told to being gone."""
    age_s: float
    """How old it was when it was told."""


@dataclass
class Member:
    """A slot of the fleet and the process that is in it now."""

    slot: int
    process: subprocess.Popen[bytes]
    born_at: float = field(default_factory=time.monotonic)
    told_to: str | None = None
    told_at: float = 0.0
    frozen: bool = False

    @property
    def pid(self) -> int:
        return self.process.pid


@dataclass
class Fleet:
    """A few worker processes, kept running until told to rest."""

    site: Site
    slots: int
    restarts: bool = True
    endings: list[Ending] = field(default_factory=list)
    _members: dict[int, Member] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _resting: threading.Event = field(default_factory=threading.Event)

    def start(self, slot: int) -> None:
        config = str(self.site.worker_config(slot))
        argv = [sys.executable, "-m", "audio_processor", "run", "-c", config]
        with (self.site.folder / f"worker-{slot}.log").open("ab") as log:
            process = subprocess.Popen(
                as_user(argv, nobody=False),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "AWS_EC2_METADATA_DISABLED": "true"},
            )
        with self._lock:
            self._members[slot] = Member(slot, process)

    def members(self) -> list[Member]:
        """Those that run."""
        with self._lock:
            return [m for m in self._members.values() if m.process.poll() is None]

    def member(self, slot: int) -> Member | None:
        return next((m for m in self.members() if m.slot == slot), None)

    def kill(self, member: Member) -> None:
        """SIGKILL: no word to anybody, whatever it was told before."""
        member.told_to = None
        self._tell(member, "kill", signal.SIGKILL)

    def term(self, member: Member, *, twice: bool = False) -> None:
        """SIGTERM, as a rollout sends it; twice for one in a hurry."""
        self._tell(member, "term twice" if twice else "term", signal.SIGTERM)
        if twice:
            time.sleep(0.3)
            self._signal(member, signal.SIGTERM)

    def freeze(self, member: Member) -> None:
        """SIGSTOP: it neither works nor beats, and does not know."""
        member.frozen = True
        self._signal(member, signal.SIGSTOP)

    def thaw(self, member: Member) -> None:
        self._signal(member, signal.SIGCONT)
        member.frozen = False

    def ffmpegs(self, member: Member) -> list[psutil.Process]:
        """FFmpeg processes of this worker that are at a track."""
        at = str(self.site.scratch)
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(member.pid).children(recursive=True)
            return [c for c in children if "ffmpeg" in c.name() and c.cwd().startswith(at)]
        return []

    def rest(self, *, grace_s: float) -> None:
        """Have all of them end in order, and start none any more."""
        self._resting.set()
        for member in self.members():
            if member.frozen:
                self.thaw(member)
            self.term(member)
        deadline = time.monotonic() + grace_s
        while self.members() and time.monotonic() < deadline:
            self.look()
            time.sleep(TICK_S)
        for member in self.members():
            member.process.kill()
            member.process.wait()
        self.look()

    def look(self) -> None:
        """Write down who has ended, and start another in each one's place."""
        with self._lock:
            for member in list(self._members.values()):
                returncode = member.process.poll()
                if returncode is None:
                    continue
                told_at = member.told_at if member.told_to else time.monotonic()
                took_s, age_s = time.monotonic() - told_at, told_at - member.born_at
                self.endings.append(
                    Ending(member.slot, member.pid, returncode, member.told_to, took_s, age_s)
                )
                del self._members[member.slot]
            empty = [slot for slot in range(self.slots) if slot not in self._members]
        if self.restarts and not self._resting.is_set():
            for slot in empty:
                self.start(slot)

    def _tell(self, member: Member, word: str, number: signal.Signals) -> None:
        if member.told_to is None:
            member.told_to, member.told_at = word, time.monotonic()
        self._signal(member, number)

    @staticmethod
    def _signal(member: Member, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            member.process.send_signal(number)


@contextlib.contextmanager
def fleet(site: Site, slots: int) -> Iterator[Fleet]:
    """Yield the running workers; whatever is left of them at the end is killed."""
    running = Fleet(site, slots)
    try:
        running.look()
        yield running
    finally:
        running.rest(grace_s=0.0)


def health(site: Site, path: str, slot: int = 0) -> tuple[int, str]:
    """Ask the slot's worker what a kubelet would; 0 where nothing answers."""
    url = f"http://127.0.0.1:{site.health_ports[slot]}{path}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()
    except OSError:
        return 0, "no answer"


def strays(site: Site) -> list[int]:
    """Return FFmpeg processes that work in the site's scratch folder and belong to no worker."""
    found = []
    for process in psutil.process_iter(["pid", "name", "cwd"]):
        cwd = process.info["cwd"] or ""
        if "ffmpeg" in (process.info["name"] or "") and cwd.startswith(str(site.scratch)):
            found.append(process.info["pid"])
    return found
