"""A listener who asks for masters all the while, and follows each to its last segment."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote

from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError, IncompleteReadError

from audio_processor.delivery.playlist_reader import read_master, read_media
from audio_processor.delivery.validate_sources import resolve
from tests.chaos.site import OUTPUT

PAUSE_S = 0.05
TRANSPORT = (NoConnection, HTTPClientError, IncompleteReadError)
"""A request that was not answered says nothing of the ladder: it is asked again."""


class Bucket(Protocol):
    """What a listener asks: None, or False, where there is no such object."""

    def read(self, key: str) -> bytes | None: ...
    def has(self, key: str) -> bool: ...


def generation_of(name: str) -> str:
    """Return the part of a name that tells which attempt made it; empty where there is none."""
    parts = name.rpartition("/")[2].rpartition(".")[0].split("_")
    return parts[1] if len(parts) > 1 else ""


def ladder_names(site: Bucket, prefix: str, master: bytes) -> list[str]:
    """Return the names that a master leads to: playlists, then segments. Raises ``KeyError``."""
    playlists = [resolve("playlist.m3u8", v.uri) for v in read_master(master.decode()).variants]
    names = list(playlists)
    for playlist in playlists:
        text = site.read(prefix + playlist)
        if text is None:
            raise KeyError(playlist)
        names += [resolve(playlist, uri) for uri, _ in read_media(text.decode()).entries]
    return [unquote(name) for name in names]


@dataclass
class Listener:
    """Polls on a thread; what was wrong is in ``complaints``."""

    site: Bucket
    track_ids: list[str]
    chance: random.Random
    complaints: list[str] = field(default_factory=list)
    ladders_seen: int = 0
    """Those that were followed to their ends."""
    retries: int = 0
    """Requests that got no answer."""
    alive_to_the_end: bool = False
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Listener:
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.alive_to_the_end = self._thread.is_alive()
        self._done.set()
        self._thread.join()

    def verdict(self) -> list[str]:
        """Return what was wrong, once it is over: one who heard nothing is no witness."""
        found = list(self.complaints)
        if not self.alive_to_the_end:
            found.append("it died on the way")
        if self.ladders_seen == 0:
            found.append(f"it heard no ladder at all, {self.retries} requests had no answer")
        return found

    def _run(self) -> None:
        recent: list[str] = []
        while not self._done.wait(PAUSE_S):
            # half of the time those that have just appeared, which are the ones still changing
            among = recent[-8:] if recent and self.chance.random() < 0.5 else self.track_ids
            track_id = self.chance.choice(among)
            try:
                if self._listen(track_id) and track_id not in recent:
                    recent.append(track_id)
            except TRANSPORT:
                self.retries += 1
            except Exception as error:  # nothing ends the listener: what nobody foresaw is told
                self.complaints.append(f"{track_id}: {type(error).__name__}: {error}")

    def _listen(self, track_id: str) -> bool:
        """Follow the track's master to its last segment; return whether there is one."""
        prefix = f"{OUTPUT}{track_id}/"
        master = self.site.read(prefix + "playlist.m3u8")
        if master is None:
            return False
        try:
            names = ladder_names(self.site, prefix, master)
        except KeyError as error:
            self.complaints.append(f"{track_id}: the master leads to nothing: {error}")
            return True
        missing = [name for name in names if not self.site.has(prefix + name)]
        if missing:
            self.complaints.append(f"{track_id}: the master leads to nothing: {missing}")
        if len({generation_of(name) for name in names}) != 1:
            self.complaints.append(
                f"{track_id}: the master leads to more than one attempt: {names}"
            )
        self.ladders_seen += 1
        return True
