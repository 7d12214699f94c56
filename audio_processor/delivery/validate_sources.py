"""Where a ladder to be judged is read from: a folder, an object store or a web server.

Names are relative to the ladder's own folder and never leave it; every read is bounded in
bytes and, over the network, in time.
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote, unquote, urlsplit

from audio_processor.errors import LimitExceeded, SourceMissing, StoreUnavailable
from audio_processor.ports import ObjectStore

_CHUNK_BYTES = 1 << 18
_MISSING = {403, 404, 410}
MASTER_NAMES = ("playlist.m3u8", "master.m3u8", "index.m3u8")


class LadderSource(Protocol):
    """A ladder's folder, read-only."""

    def fetch(self, name: str, target: Path, *, max_bytes: int) -> None:
        """Write the file to ``target``.

        Raises ``SourceMissing``, ``LimitExceeded``, ``StoreUnavailable``.
        """

    def playlist_names(self) -> Iterable[str]:
        """Names under which the master playlist may be, the likeliest first."""

    def m4a_names(self) -> Iterable[str]:
        """Names under which the download file may be, when nothing says which."""

    def describe(self) -> str:
        """Where this is, for the report: never a credential."""


def resolve(playlist: str, uri: str) -> str:
    """Return the name that a URI in a playlist stands for, relative to the ladder's folder.

    Raises ``ValueError`` where it leads out of it: another host, an absolute path, a ``..``
    too many.
    """
    parts = urlsplit(uri)
    if parts.scheme or parts.netloc or parts.path.startswith("/"):
        raise ValueError(f"{uri[:120]!r} leads out of the ladder's folder")
    names = [name for name in playlist.split("/")[:-1] if name]
    for part in parts.path.split("/"):
        name = unquote(part)
        if any(c in name for c in "/\\\0") or (name == ".." and not names):
            raise ValueError(f"{uri[:120]!r} leads out of the ladder's folder")
        if name == "..":
            names.pop()
        elif name not in {"", "."}:
            names.append(name)
    if unquote(parts.path.rpartition("/")[2]) in {"", ".", ".."}:
        raise ValueError(f"{uri[:120]!r} names no file")
    return "/".join(names)


def _place(path: str) -> tuple[str, str | None]:
    """Split the path of a ladder's folder, or of its master playlist, into folder and playlist."""
    if path.endswith(".m3u8"):
        folder, slash, name = path.rpartition("/")
        return folder + slash, name
    return (path if path.endswith("/") or not path else f"{path}/"), None


def _names(asked: str | None) -> tuple[str, ...]:
    return MASTER_NAMES if asked is None else (asked,)


class FolderSource:
    """A ladder in a local folder; links that lead out of it are not followed."""

    def __init__(self, root: Path) -> None:
        self._asked = root.name if root.suffix == ".m3u8" and root.is_file() else None
        folder = root if self._asked is None else root.parent
        if not folder.is_dir():
            raise SourceMissing(f"There is no folder {folder}.")
        self._root = folder.resolve()

    def fetch(self, name: str, target: Path, *, max_bytes: int) -> None:
        """Copy the file."""
        try:
            path = (self._root / name).resolve()
            if not path.is_relative_to(self._root) or not path.is_file():
                raise SourceMissing(f"There is no {name} in {self.describe()}.")
            size = path.stat().st_size
            if size > max_bytes:
                raise LimitExceeded(f"{name} has {size} bytes, more than {max_bytes}.")
            shutil.copyfile(path, target)
        except OSError as error:  # a name too long, a file that we may not read
            raise SourceMissing(f"{name} cannot be read: {error.strerror}.") from error

    def playlist_names(self) -> Iterable[str]:
        """The one that was asked for, or the usual names, then every playlist that there is."""
        if self._asked is not None:
            return [self._asked]
        found = sorted(path.name for path in self._root.glob("*.m3u8"))
        return [*MASTER_NAMES, *(name for name in found if name not in MASTER_NAMES)]

    def m4a_names(self) -> Iterable[str]:
        """Every m4a that there is."""
        return sorted(path.name for path in self._root.glob("*.m4a"))

    def describe(self) -> str:
        """The folder."""
        return str(self._root)


class StoreSource:
    """A ladder under a prefix of an object store."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix, self._asked = _place(prefix)

    def fetch(self, name: str, target: Path, *, max_bytes: int) -> None:
        """Download the object."""
        self._store.download(self._prefix + name, target, max_bytes=max_bytes)

    def playlist_names(self) -> Iterable[str]:
        """The one that was asked for, or the usual names."""
        return _names(self._asked)

    def m4a_names(self) -> Iterable[str]:
        """The prefix's last name: there is no listing."""
        return [f"{self._prefix.rstrip('/').rpartition('/')[2]}.m4a"]

    def describe(self) -> str:
        """Store and prefix."""
        return f"{self._store.describe()}, {self._prefix}"


class HttpSource:
    """A ladder on a web server, below the URL of its folder or of its master playlist."""

    def __init__(self, url: str, *, timeout_s: float = 20.0) -> None:
        try:
            parts = urlsplit(url)
            named = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
        except ValueError:  # no port, but perhaps the first half of a password
            named = False
        if not named or "@" in parts.netloc:
            raise SourceMissing(
                "An address is https://host/folder or http://host:port/folder, without a password."
            )
        folder, asked = _place(parts.path or "/")
        self._asked = None if asked is None else unquote(asked)
        self._base = f"{parts.scheme}://{parts.netloc}{folder}"
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(_SameFolderOnly(self._base))

    def fetch(self, name: str, target: Path, *, max_bytes: int) -> None:
        """Download the file; a redirect is followed only within the ladder's folder."""
        url = self._base + quote(name)
        try:
            with (
                self._opener.open(url, timeout=self._timeout_s) as answer,
                target.open("wb") as file,
            ):
                _copy(answer, file, name, max_bytes)
        except urllib.error.HTTPError as error:
            if error.code in _MISSING:
                raise SourceMissing(f"{url} answers {error.code}.") from error
            raise StoreUnavailable(f"{url} answers {error.code}.") from error
        except (OSError, HTTPException) as error:
            raise StoreUnavailable(f"{url} cannot be read: {error}.") from error

    def playlist_names(self) -> Iterable[str]:
        """The one that was asked for, or the usual names."""
        return _names(self._asked)

    def m4a_names(self) -> Iterable[str]:
        """The folder's name: there is no listing."""
        return [f"{unquote(self._base.rstrip('/').rpartition('/')[2])}.m4a"]

    def describe(self) -> str:
        """The address."""
        return self._base


class _SameFolderOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirect that stays below the base; refuses any other as missing."""

    def __init__(self, base: str) -> None:
        self._base = base

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith(self._base) or ".." in urlsplit(newurl).path.split("/"):
            raise urllib.error.HTTPError(newurl, 403, "leads elsewhere", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _copy(answer: IO[bytes], file: IO[bytes], name: str, max_bytes: int) -> None:
    size = 0
    while chunk := answer.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            raise LimitExceeded(f"{name} has more than {max_bytes} bytes.")
        file.write(chunk)
