"""Fetch the corpus: real music out of Debian's packages, which are never installed.

``python -m bench.corpus`` leaves the tracks of ``corpus.toml`` in ``bench/corpus/`` (or where
``AUDIO_PROCESSOR_CORPUS`` points) and needs neither root nor, once they are there, a network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

ENVIRONMENT = "AUDIO_PROCESSOR_CORPUS"
LISTED = Path(__file__).with_name("corpus.toml")
UNAVAILABLE = 3


class CorpusUnavailable(Exception):
    """The music cannot be had here; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Track:
    """One chosen file of one package."""

    package: str
    path: PurePosixPath
    """Inside the package."""
    duration_s: float
    kind: str
    """What it is in the corpus for."""
    sha256: str

    @property
    def name(self) -> str:
        """Its file name, which no other track of the corpus has."""
        return self.path.name


@cache
def listed() -> tuple[Track, ...]:
    """Return every track of the list, in order of preference."""
    rows = tomllib.loads(LISTED.read_text(encoding="utf-8"))["track"]
    return tuple(Track(**{**row, "path": PurePosixPath(row["path"])}) for row in rows)


def corpus_folder() -> Path:
    """Return where the music is, or will be."""
    configured = os.environ.get(ENVIRONMENT)
    return Path(configured) if configured else Path(__file__).with_name("corpus")


def corpus_tracks(n: int | None = None, *, max_duration_s: float | None = None) -> list[Path]:
    """Return the first ``n`` tracks (all, if None) that are there, in order of preference."""
    there = {path.name: path for path in corpus_folder().rglob("*.o[gp]*")}
    wanted = [
        there[track.name]
        for track in listed()
        if track.name in there and (max_duration_s is None or track.duration_s <= max_duration_s)
    ]
    return wanted[:n]


def fetch(folder: Path) -> int:
    """Bring what is missing or damaged into the folder; return how many tracks were brought.

    Raises ``CorpusUnavailable``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [track for track in listed() if not _is_whole(folder / track.name, track)]
    for package in dict.fromkeys(track.package for track in missing):
        wanted = [track for track in missing if track.package == package]
        print(f"corpus: {len(wanted)} tracks from {package}", flush=True)
        # beside the result, so that a finished track is moved and not copied
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as temporary:
            archive = _download(package, Path(temporary))
            _unpack(archive, wanted, folder)
    return len(missing)


def _is_whole(path: Path, track: Track) -> bool:
    return path.is_file() and _sha256(path) == track.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(package: str, folder: Path) -> Path:
    """Return the package's archive; a list that does not know it is brought up to date once."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise CorpusUnavailable(f"{program} is not here: the music is in Debian 12's packages")
    is_root = os.geteuid() == 0
    # root's apt would hand the download to a user who may not enter this folder
    download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package]
    refused = _run(download, folder)
    if refused and is_root:
        _run(["apt-get", "-qq", "update"], folder)
        refused = _run(download, folder)
    archives = sorted(folder.glob("*.deb"))
    if refused or not archives:
        hint = "" if is_root else "; if its lists are empty, root's `apt-get update` fills them"
        raise CorpusUnavailable(f"apt-get could not download {package} ({refused}){hint}")
    return archives[0]


def _run(argv: Sequence[str], folder: Path) -> str:
    """Run it; return why it failed, or nothing."""
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1].strip() if lines else f"exit code {done.returncode}"


def _unpack(archive: Path, wanted: Sequence[Track], folder: Path) -> None:
    """Write the wanted files of the archive, each under its name once it is proved whole."""
    by_path = {track.path: track for track in wanted}
    argv = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with (
        subprocess.Popen(argv, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        for member in tar:
            track = by_path.get(PurePosixPath(member.name))
            content = tar.extractfile(member) if track else None
            if track is None or content is None:
                continue
            part = archive.with_name(track.name)
            with part.open("wb") as file:
                shutil.copyfileobj(content, file)
            if not _is_whole(part, track):
                raise CorpusUnavailable(f"{archive.name} has another {track.name}")
            part.replace(folder / track.name)
            del by_path[track.path]
    if by_path:
        names = ", ".join(track.name for track in by_path.values())
        raise CorpusUnavailable(f"{archive.name} is without {names}")


def main() -> int:
    """Fill the folder and say what is in it."""
    folder = corpus_folder()
    try:
        brought = fetch(folder)
    except (CorpusUnavailable, OSError, tarfile.TarError) as error:
        print(f"corpus: {error}", file=sys.stderr)
        return UNAVAILABLE
    minutes = sum(track.duration_s for track in listed()) / 60
    print(f"corpus: {len(listed())} tracks, {minutes:.0f} min, {brought} new, in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
