"""The composition root: the one place that joins adapters to ports, and the library's face."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from audio_processor import __version__, wiring
from audio_processor.aftermath import Aftermath
from audio_processor.errors import (
    NameRejected,
    OutputConflict,
    SourceMissing,
    UnknownUpload,
    UploadBusy,
)
from audio_processor.model import COMPLETED, FAILED, PENDING, PROCESSING, Claim
from audio_processor.naming import printable, track_id_of
from audio_processor.settings import Settings
from audio_processor.telemetry import Metrics, NullProgress, Progresses, RunProgress, get_logger
from database_manager import QueueStatus, UploadRecord

if TYPE_CHECKING:
    from audio_processor.breaker import Breaker
    from audio_processor.ending import Ended
    from audio_processor.mastering.preset import Preset
    from audio_processor.observed import Observed
    from audio_processor.outcome import Failed
    from audio_processor.pipeline import Line
    from audio_processor.ports import ObjectStore, Progress
    from audio_processor.worker import Worker

log = get_logger(__name__)

RAW_PREFIX = "tracks/"
PROCESSED_PREFIX = "mwonya_audio_tracks/"
FAILED_PREFIX = "failedprocessing_tracks/"
SEGMENT_DURATION_S = 10

_FOLLOW_POLL_S = 1.0
_OCTETS = "application/octet-stream"
_RAW_OBJECTS = uuid.UUID("6d0c6c4e-3a5c-5c55-9a55-8b3f0b0f6a11")
"""Name space of the ids of rows that are made for a raw object found without one."""


class AudioProcessor:
    """Takes uploads from the queue to published m4a and HLS ladders.

    ``s3_bucket`` and ``db_config`` win over ``settings``; where they are None the settings
    decide, and where those say nothing it is SQLite and a folder under ``./data``.
    ``db_config`` has the keys host, user, password, database and port (sqlite: database, a
    path). ``raw_prefix`` (``tracks/``) is where uploads lie, ``processed_prefix``
    (``mwonya_audio_tracks/``) where tracks are published, ``failed_prefix``
    (``failedprocessing_tracks/``) where the upload of a failed one goes; ``segment_duration``
    is in seconds (10). Each at its default leaves the settings' own value alone.
    ``progress`` is told where every track is.

    Nothing is connected to, started or read before the first call that needs it; every
    method may be called from any thread. Close it, or use it as a context manager. Every
    method that asks the queue may raise ``DatabaseUnavailable``, and ``ConfigError`` for what
    only the server knows: a refused password, a table that is to be migrated.

    Raises ``ConfigError`` where the arguments cannot be.
    """

    def __init__(
        self,
        s3_bucket: str | None,
        db_config: Mapping[str, Any] | None,
        db_type: Literal["mysql", "postgresql", "sqlite"] = "mysql",
        raw_prefix: str = RAW_PREFIX,
        processed_prefix: str = PROCESSED_PREFIX,
        failed_prefix: str = FAILED_PREFIX,
        segment_duration: float = SEGMENT_DURATION_S,
        *,
        settings: Settings | None = None,
        progress: Progress | None = None,
    ) -> None:
        # an argument that was left at its default leaves the settings' own value alone
        given = {
            "raw_prefix": (raw_prefix, RAW_PREFIX),
            "processed_prefix": (processed_prefix, PROCESSED_PREFIX),
            "failed_prefix": (failed_prefix, FAILED_PREFIX),
        }
        self.settings = wiring.with_arguments(
            settings or Settings(),
            s3_bucket,
            prefixes={key: value for key, (value, default) in given.items() if value != default},
            segment_duration_s=segment_duration if segment_duration != SEGMENT_DURATION_S else None,
        )
        self.queue = wiring.open_queue(self.settings, db_config, db_type)
        self.queue.on_buried = self._bury
        self._buried = 0
        self.metrics = Metrics(wiring.promise(self.settings))
        self._progress: Progress = Progresses(RunProgress(), progress or NullProgress())
        self._lock = threading.RLock()
        self._workers: set[Worker] = set()
        self._stopped = False
        self._line: Line | None = None
        self._breaker: Breaker | None = None
        self._undertaker = ThreadPoolExecutor(1, thread_name_prefix="undertaker")
        self._store: ObjectStore | None = None
        self._observed: Observed | None = None
        self._aftermath = Aftermath(self.queue, lambda: self.store, self.settings.storage)

    @classmethod
    def from_settings(
        cls, settings: Settings, *, progress: Progress | None = None
    ) -> AudioProcessor:
        """Return one whose store and database are the settings' own."""
        return cls(None, None, settings=settings, progress=progress)

    # ── the public contract ──────────────────────────────────────────────────────────────

    def process_audio(self, track_id: str) -> bool:
        """Follow one track, named by its file name, to its end; return whether it completed.

        A pending row is claimed and processed, one that another worker holds is waited for.
        Without a row, one is inserted if the raw object exists; if it does not, the answer is
        False, ``SourceMissing`` is logged and there is still no row.
        Raises ``DatabaseUnavailable``, ``StoreUnavailable``.
        """
        record = self.queue.find_by_file_name(track_id)
        if record is not None:
            return self._follow(record.upload_id)
        try:
            track_id_of(track_id)
            key = self.settings.storage.raw_prefix + track_id
            if self.store.size(key) is None:
                raise SourceMissing(f"There is no row and no object {key!r} for {track_id!r}.")
        except (SourceMissing, NameRejected) as error:
            log.error("not processed", file_name=track_id, error_code=error.code, error=str(error))
            return False
        # the same id for the same object: of two callers at once, both follow the one row
        upload_id = uuid.uuid5(_RAW_OBJECTS, key).hex
        self.queue.insert(upload_id, track_id)
        return self._follow(upload_id)

    def process_pending_tracks(self) -> tuple[int, int]:
        """Process what is pending now; return how many tracks (succeeded, did not).

        A track that will be tried again later counts as one that did not. Rows inserted
        meanwhile are left for the next run. Safe beside other workers and overlapping runs.
        Raises ``DatabaseUnavailable`` when the queue cannot be reached, ``StoreUnavailable``
        when the store does not answer to begin with.
        """
        buried = self._buried
        ended = self._drain_pending()
        successful = sum(one.completed for one in ended)
        return successful, len(ended) - successful + self._buried - buried

    def get_pending_tracks(self) -> list[dict[str, Any]]:
        """Return the pending tracks' rows, oldest first, those in backoff included.

        Each has the table's six columns and ``attempts``.
        """
        return self.queue.pending()

    # ── beyond it ────────────────────────────────────────────────────────────────────────

    def enqueue(self, path: Path, *, replace: bool = False, mastering: str | None = None) -> str:
        """Upload the file under the raw prefix, insert its row and return the upload's id.

        With ``replace`` a row of that file name that has ended is made pending again.
        ``mastering`` is what the row is to ask for, a preset's name or JSON: an empty text
        asks for the house's own, None leaves what a row that is there asks for.
        Raises ``NameRejected``, ``OutputConflict`` (a row exists), ``StoreUnavailable``, and
        ``MasteringRejected`` before anything is done.
        """
        file_name = path.name
        track_id_of(file_name)
        if mastering is not None:
            self._check_wish(mastering)
        record = self.queue.find_by_file_name(file_name)
        if record is not None and not (replace and record.status in {COMPLETED, FAILED}):
            state = "pending" if record.status == PENDING else record.status
            raise OutputConflict(
                f"{printable(file_name)} has a row already (upload {record.upload_id}, "
                f"{state}); give the file another name, or use --replace once it has ended."
            )
        self.store.upload(path, self.settings.storage.raw_prefix + file_name, content_type=_OCTETS)
        if record is not None:
            self.queue.reset(record.upload_id, mastering)
            return record.upload_id
        upload_id = uuid.uuid4().hex
        self.queue.insert(upload_id, file_name, mastering)
        return upload_id

    def find(self, upload: str) -> UploadRecord:
        """Return the whole story of an upload, named by its id or its file name.

        Raises ``UnknownUpload``.
        """
        record = self.queue.find(upload)
        if record is None:
            raise UnknownUpload(f"There is no upload {printable(upload)}.")
        return record

    def retry(self, upload: str) -> UploadRecord:
        """Make a failed or stuck upload pending again, its raw object back where it was.

        Raises ``UnknownUpload``, ``SourceMissing`` (neither prefix has the object),
        ``UploadBusy`` (completed, or in work).
        """
        record = self.find(upload)
        storage = self.settings.storage
        raw_key = storage.raw_prefix + record.file_name
        if record.status != COMPLETED and self.store.size(raw_key) is None:
            self.store.move(storage.failed_prefix + record.file_name, raw_key)
        if record.status == COMPLETED or not self.queue.reset(record.upload_id):
            raise UploadBusy(f"Upload {record.upload_id} is {record.status}; it was left alone.")
        return record

    def status(self) -> QueueStatus:
        """Return the queue in figures and who holds what."""
        return self.queue.status()

    def output_of(self, file_name: str) -> str:
        """Return where a track's output is, in a form that ``validate`` takes too."""
        storage = self.settings.storage
        prefix = f"{storage.processed_prefix}{track_id_of(file_name)}/"
        if storage.kind == "s3":
            return f"s3://{storage.bucket}/{prefix}"
        return str(storage.folder.expanduser().resolve() / prefix)

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Yield a worker with an id of its own; its leases end with it.

        ``worker.run()`` is the daemon: it claims and processes until ``stop``.
        """
        from audio_processor.worker import Worker

        line, options = self._open_line(), wiring.worker_options(self.settings)
        observed = self._open_observed()
        worker = Worker(
            observed.queue(self.queue),
            lambda job: line.run(job, self._progress),
            worker_id=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",
            options=options,
            breaker=self._open_breaker(),
            before_failed=self._aftermath.withdraw_unrecorded,
            on_failed=self._aftermath.move_to_failed,
            telling=observed.job,
        )
        with self._lock:
            self._workers.add(worker)
            if self._stopped:
                worker.stop()
        try:
            with observed.worker(
                worker, line.scratch, slots=options.concurrency, look=self.queue.depth
            ):
                yield worker
        finally:
            self._undertaker.submit(
                bool
            ).result()  # burials come to their ends before the call does
            with self._lock:
                self._workers.discard(worker)

    def stop(self) -> None:
        """Have every call, now and later, claim nothing more and return once its tracks ended.

        Called again: hand the running tracks back at once, their attempts refunded.
        """
        with self._lock:
            self._stopped = True
            workers = tuple(self._workers)
        for worker in workers:
            worker.stop()

    @property
    def store(self) -> ObjectStore:
        """The object store, opened at its first use."""
        with self._lock:
            if self._store is None:
                self._store = wiring.open_store(self.settings, self.metrics.request)
            return self._store

    def close(self) -> None:
        """Remove the scratch folder and close the connections."""
        self._undertaker.shutdown()
        with self._lock:
            if self._line is not None:
                self._line.scratch.close()
                self._line = None
            if self._observed is not None:
                self._observed.close()
                self._observed = None
            self.queue.close()

    def __enter__(self) -> AudioProcessor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def presets(self) -> Mapping[str, Preset]:
        """Return the presets an upload may name, the house's own last. Raises ``ConfigError``."""
        from audio_processor.mastering.preset import with_house

        return with_house(self.settings.mastering.presets)

    # ── within ───────────────────────────────────────────────────────────────────────────

    def _check_wish(self, mastering: str) -> None:
        from audio_processor.mastering.recipe import resolve

        house = self.settings.mastering
        for warning in resolve(mastering, house, self.presets(), house.profiles).warnings:
            log.warning("mastering", warning=warning)

    def _drain_pending(self) -> list[Ended]:
        waiting = self.queue.claimable_ids()
        if not waiting:
            return []
        with self.worker() as worker:
            ended = worker.run_pending(waiting)
        if worker.fatal is not None:
            raise worker.fatal
        return ended

    def _follow(self, upload_id: str) -> bool:
        with self.worker() as worker:
            while not worker.stopping:
                record = self.queue.find(upload_id)
                if record is None or record.status == FAILED:
                    log.error(
                        "failed",
                        upload_id=upload_id,
                        error=record.error_message if record else None,
                    )
                    return False
                if record.status == COMPLETED:
                    return True
                if not _will_move(record):
                    log.error(
                        "not followed",
                        upload_id=upload_id,
                        error=f"The row is {record.status!r} of type {record.upload_type!r}, and "
                        "no worker of ours holds it: `audio-processor retry` frees it.",
                    )
                    return False
                if worker.run_one(upload_id) is None:
                    worker.rest(_FOLLOW_POLL_S)
        return self.find(upload_id).status == COMPLETED

    def _bury(self, claim: Claim, error_code: str, error_message: str) -> None:
        """Give a track that killed its workers the same end as one that failed in our hands."""
        from audio_processor.ending import Ended
        from audio_processor.outcome import Failed

        failed = Failed(error_code, error_message)
        with self._lock:
            self._buried += 1
        self._open_observed().buried(Ended(claim, failed))
        # on a thread of its own: the claim loop must not wait for a store that is slow
        self._undertaker.submit(self._laid_to_rest, claim, failed)

    def _laid_to_rest(self, claim: Claim, failed: Failed) -> None:
        from audio_processor import called_off

        with called_off.on(called_off.Until(self._interrupted)):
            self._aftermath.bury(claim, failed)

    def _interrupted(self) -> bool:
        """Whether everybody who works here was told to end at once."""
        with self._lock:
            workers = tuple(self._workers)
        return bool(workers) and all(worker.interrupted for worker in workers)

    def _open_breaker(self) -> Breaker:
        """For all workers of this process, since store and scratch folder are one."""
        from audio_processor.breaker import Breaker

        def ask() -> None:
            self.store.ping()
            self._open_line().scratch.check_room()

        with self._lock:
            if self._breaker is None:
                self._breaker = Breaker(ask)
            return self._breaker

    def _open_observed(self) -> Observed:
        with self._lock:
            if self._observed is None:
                self._observed = wiring.observed(self.metrics, self.settings)
            return self._observed

    def _open_line(self) -> Line:
        from audio_processor.media.encode import named  # numpy, which the queue's commands spare

        with self._lock:
            if self._line is None:
                observed = self._open_observed()
                queue = observed.queue(self.queue)
                self._line = wiring.build_line(self.settings, self.store, queue)
                observed.built_of(
                    version=__version__,
                    ffmpeg=self._line.binary.version,
                    encoder=named(self._line.encoder),
                )
            return self._line


def _will_move(record: UploadRecord) -> bool:
    """Whether waiting for the row makes sense: a track, pending or held under a lease."""
    held = record.status == PROCESSING and record.lease_remaining_s is not None
    return record.upload_type == "track" and (record.status == PENDING or held)
