"""What must be true once quiet has returned, seen from outside: by SQL and in the bucket."""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from audio_processor.delivery.replace import LEFTOVERS_NAME
from audio_processor.delivery.validate import Expectations, validate
from audio_processor.delivery.validate_sources import StoreSource
from audio_processor.job import generation
from audio_processor.media.binary import find_ffmpeg
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from audio_processor.storage import S3Options, open_store
from tests.chaos.faults import Zombie
from tests.chaos.listener import generation_of, ladder_names
from tests.chaos.site import FAILED, OUTPUT, RAW, Site
from tests.chaos.watch import ENDED, Row
from tests.servers.flaky_proxy import Seen

SOUND_TOLERANCE_LU = 0.5
"""Tracks of two seconds: what is judged here is wholeness, not mastering."""


@dataclass(frozen=True)
class Upload:
    """A track that was given to the workers, and what has to become of it."""

    upload_id: str
    file_name: str
    data: bytes | None = field(repr=False)
    """None where there is no raw object."""
    error_codes: tuple[str, ...] = ()
    """Empty where it has to complete."""

    @property
    def track_id(self) -> str:
        return self.file_name.rpartition(".")[0]


@dataclass
class Verdict:
    """What was found wrong, in sentences, by kind."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    litter: int = 0
    """Objects of attempts that died, which no playlist names."""
    ladders: int = 0

    @property
    def complaints(self) -> list[str]:
        return [*self.lost, *self.duplicated, *self.stuck, *self.broken]


def judge(site: Site, uploads: list[Upload], rows: dict[str, Row]) -> Verdict:
    """Hold every row, every ladder and every raw object against what must be."""
    verdict = Verdict()
    keys = site.objects()
    for upload in uploads:
        row = rows[upload.upload_id]
        where = f"{upload.file_name} ({row.status}, {row.error_code}, attempt {row.attempts})"
        if row.status not in ENDED:
            verdict.stuck.append(f"{where}: never ended, overdue by {row.overdue_s:.1f} s")
            continue
        expected = "failed" if upload.error_codes else "completed"
        if row.status != expected or (row.error_code or "") not in (upload.error_codes or ("",)):
            verdict.lost.append(f"{where}: {row.error_message}")
        outcomes = Counter(attempt["outcome"] for attempt in json.loads(row.history or "[]"))
        if outcomes["completed"] > 1 or outcomes["failed"] > 1:
            verdict.duplicated.append(f"{where}: ended more than once: {outcomes}")
        if (fault := _raw_fault(upload, row, keys)) is not None:
            verdict.lost.append(f"{where}: {fault}")
        own = {k for k in keys if k.startswith(f"{OUTPUT}{upload.track_id}/")}
        master = f"{OUTPUT}{upload.track_id}/playlist.m3u8"
        if row.status == "failed":
            if master in own:
                verdict.broken.append(f"{where}: failed, but its master is there")
        elif master not in own:
            verdict.lost.append(f"{where}: completed without a master")
        else:
            verdict.ladders += 1
            verdict.broken += [f"{where}: {f}" for f in _ladder_faults(site, upload, row)]
            verdict.litter += _litter(own, row)
    return verdict


def _raw_fault(upload: Upload, row: Row, keys: dict[str, str]) -> str | None:
    """The raw object is where it was, or aside where the track failed; whole, and never gone."""
    if upload.data is None:
        return None
    digest = hashlib.md5(upload.data, usedforsecurity=False).hexdigest()
    places = [RAW] if row.status == "completed" else [RAW, FAILED]
    found = [keys[p + upload.file_name] for p in places if p + upload.file_name in keys]
    if not found:
        return "its raw object is gone"
    return None if set(found) == {digest} else "its raw object is another"


def _ladder_faults(site: Site, upload: Upload, row: Row) -> Iterator[str]:
    """Whether what is visible is the whole work of the attempt that completed the row."""
    prefix = f"{OUTPUT}{upload.track_id}/"
    master = site.read(prefix + "playlist.m3u8") or b""
    try:
        names = ladder_names(site, prefix, master)
    except (KeyError, ValueError) as error:
        yield f"its master leads to nothing: {error}"
        return
    own = generation(row.token or "")
    if foreign := {generation_of(name) for name in names} - {own}:
        yield f"attempts {foreign} are visible, {own} completed the row"
    document = json.loads(site.read(prefix + "metadata.json") or b"{}")
    if document.get("upload_id") != upload.upload_id:
        yield f"metadata.json is of {document.get('upload_id')}"
    if document.get("generation") != own:
        yield f"metadata.json is of attempt {document.get('generation')}, {own} completed the row"
    if document["source"]["sha256"] != hashlib.sha256(upload.data or b"").hexdigest():
        yield "it was made of another source"
    for rendition in document["renditions"]:
        tier = rendition["name"]
        segments = [n for n in names if n.startswith(f"{tier}/") and n.endswith(".ts")]
        digest = hashlib.sha256()
        for name in segments:
            digest.update(site.read(prefix + name) or b"")
        if digest.hexdigest() != rendition["sha256"] or len(segments) != rendition["segments"]:
            yield f"the segments of {tier} are not those that metadata.json tells of"
        fixed = site.read(f"{prefix}{tier}/playlist.m3u8")
        if fixed is None or own not in fixed.decode():
            yield f"{tier}/playlist.m3u8 is another attempt's"
    m4a = site.read(f"{prefix}{upload.track_id}.m4a") or b""
    if hashlib.sha256(m4a).hexdigest() != document["m4a"]["sha256"]:
        yield "the m4a is not the one that metadata.json tells of"


def _litter(own: set[str], row: Row) -> int:
    return sum(1 for key in own if generation_of(key) not in {"", generation(row.token or "")})


def validated(
    site: Site, uploads: list[Upload], chance: random.Random, count: int | None
) -> list[str]:
    """Run the project's ``validate`` on completed ladders, all or a sample; return its errors."""
    store = open_store(
        S3Options(
            bucket=site.bucket,
            endpoint_url=site.s3.endpoint_url,
            region=site.s3.region,
            access_key_id=site.s3.access_key,
            secret_access_key=site.s3.secret_key,
        )
    )
    errors = []
    chosen = uploads if count is None else chance.sample(uploads, min(count, len(uploads)))
    for upload in chosen:
        with tempfile.TemporaryDirectory() as name:
            report = validate(
                StoreSource(store, f"{OUTPUT}{upload.track_id}/"),
                Supervisor(find_ffmpeg(None), Path(name), ProcessLimits()),
                Path(name),
                expected=Expectations(loudness_lu=SOUND_TOLERANCE_LU),
            )
        errors += [
            f"{upload.track_id}: {f.rule} {f.where}: {f.message}"
            for f in report.findings
            if f.severity == "error"
        ]
    return errors


def zombie_requests(site: Site, zombies: list[Zombie], rows: dict[str, Row]) -> list[str]:
    """Return what woken workers still sent of attempts whose row was another's in the end."""
    kept = {row.token for row in rows.values()}
    found = []
    for zombie in zombies:
        lost = [generation(token) for token in zombie.held.values() if token not in kept and token]
        found += [
            f"{seen.method} {seen.path}"
            for seen in site.doors[zombie.slot].seen[zombie.requests_before :]
            if seen.method in {"PUT", "POST"} and any(each in seen.path for each in lost)
        ]
    return found


def overwrites(site: Site, zombies: list[Zombie], rows: dict[str, Row]) -> list[str]:
    """Return what woken workers sent of lost attempts under names that attempts share, and that
    would have succeeded whatever is there by now: a write without a condition.

    With one, the store refuses it once another attempt has written (what is there in the end is
    held by ``judge``). Of tracks that the same process took up again it cannot be told whose a
    request is: these are left out.
    """
    by_name = {row.file_name: row for row in rows.values()}
    found = []
    for zombie in zombies:
        lost = [
            f"/{OUTPUT}{name.rpartition('.')[0]}/"
            for name, token in zombie.held.items()
            if token != by_name[name].token and _attempts_of(zombie.pid, by_name[name]) == 1
        ]
        found += [
            f"slot {zombie.slot}, woken: {seen.method} {seen.path}"
            for seen in site.doors[zombie.slot].seen[zombie.requests_before :]
            if any(folder in seen.path for folder in lost) and unconditional(seen)
        ]
    return found


def _attempts_of(pid: int, row: Row) -> int:
    ids = [attempt["worker_id"] for attempt in json.loads(row.history or "[]")]
    return sum(f"-{pid}-" in worker for worker in ids)


def unconditional(seen: Seen) -> bool:
    """Whether this makes an object of a fixed name, whatever is there.

    Not the list of what is to be swept: every attempt writes it before it publishes.
    """
    name = seen.path.rpartition("/")[2]
    if generation_of(name) or name == LEFTOVERS_NAME:
        return False
    makes = (seen.method == "PUT" and "partNumber" not in seen.query) or (
        seen.method == "POST" and "uploadId" in seen.query
    )
    return makes and not {"if-match", "if-none-match"} & seen.headers.keys()
