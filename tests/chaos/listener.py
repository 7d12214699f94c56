"""A listener who asks for masters all the while, and follows each to its last segment."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from urllib.parse import unquote

from botocore.exceptions import ClientError

from audio_processor.delivery.playlist_reader import read_master, read_media
from audio_processor.delivery.validate_sources import resolve
from tests.chaos.site import OUTPUT, Site

PAUSE_S = 0.05


def generation_of(name: str) -> str:
    """Return the part of a name that tells which attempt made it; empty where there is none."""
    parts = name.rpartition("/")[2].rpartition(".")[0].split("_")
    return parts[1] if len(parts) > 1 else ""


def ladder_names(site: Site, prefix: str, master: bytes) -> list[str]:
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

    site: Site
    track_ids: list[str]
    chance: random.Random
    complaints: list[str] = field(default_factory=list)
    ladders_seen: int = 0
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Listener:
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        recent: list[str] = []
        while not self._done.wait(PAUSE_S):
            # half of the time those that have just appeared, which are the ones still changing
            among = recent[-8:] if recent and self.chance.random() < 0.5 else self.track_ids
            track_id = self.chance.choice(among)
            if self._listen(track_id) and track_id not in recent:
                recent.append(track_id)

    def _listen(self, track_id: str) -> bool:
        prefix = f"{OUTPUT}{track_id}/"
        master = self.site.read(prefix + "playlist.m3u8")
        if master is None:
            return False
        self.ladders_seen += 1
        try:
            names = ladder_names(self.site, prefix, master)
            for name in names:
                self.site.client().head_object(Bucket=self.site.bucket, Key=prefix + name)
        except (KeyError, ClientError) as error:
            self.complaints.append(f"{track_id}: the master leads to nothing: {error}")
            return True
        except ValueError as error:
            self.complaints.append(f"{track_id}: {error}")
            return True
        if len({generation_of(name) for name in names}) != 1:
            self.complaints.append(
                f"{track_id}: the master leads to more than one attempt: {names}"
            )
        return True
