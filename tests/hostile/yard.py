"""Where hostile inputs are let loose: a folder, a canary in it, a listener beside it.

The canary is a tone in a file next to every input, and a watch on that file. The listener is
a TCP and a UDP socket whose port the inputs know. Neither may ever be found.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_processor.errors import AudioProcessorError
from audio_processor.mastering.analyse import analyse
from audio_processor.mastering.chain import Chain
from audio_processor.media.decode import decode
from audio_processor.media.ffmpeg import Supervisor
from audio_processor.media.probe import MediaLimits, probe
from audio_processor.model import Blocks
from tests.hostile import writers
from tests.hostile.inputs import HostileInput, Surroundings, Workshop

CANARY_HZ = 5_000
CANARY_DBFS = -12.0
CANARY_NAME = "canary.wav"
LIMITS = MediaLimits(max_duration_s=1200.0)
_RATE_HZ = 44_100
_KEPT_S = 10.0
_SHORTEST_S = 0.02
_IN_OPEN = 0x20
_POLL_S = 0.004


def write_canary(folder: Path) -> Path:
    """Put a tone at 5 kHz and −12 dBFS beside the inputs."""
    t = np.arange(3 * _RATE_HZ) / _RATE_HZ
    tone = 10 ** (CANARY_DBFS / 20) * np.sin(2 * np.pi * CANARY_HZ * t)
    pcm = np.repeat(np.round(tone * 32767).astype("<i2")[:, None], 2, axis=1)
    path = folder / CANARY_NAME
    path.write_bytes(writers.wav(pcm.tobytes()))
    return path


def canary_dbfs(pcm: NDArray[np.float32], rate_hz: int) -> float:
    """Return the level of the canary's tone in the audio; of what is too short, there is none."""
    if rate_hz <= 2 * CANARY_HZ or len(pcm) < _SHORTEST_S * rate_hz:
        return -np.inf
    window = np.hanning(len(pcm) + 2)[1:-1]
    t = np.arange(len(pcm)) / rate_hz
    tone = np.exp(-2j * np.pi * CANARY_HZ * t) * window
    amplitude = np.abs(tone @ pcm.astype(np.float64)).max() * 2 / window.sum()
    return float(20 * np.log10(max(amplitude, 1e-12)))


class Opens:
    """Watches how often a file is opened, by anybody (inotify)."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), f"no watch on {path}")

    def count(self) -> int:
        """Return how often since the last call."""
        header = struct.calcsize("iIII")
        with contextlib.suppress(BlockingIOError):
            return len(os.read(self._fd, 65_536)) // header
        return 0

    def close(self) -> None:
        os.close(self._fd)


class Listener:
    """TCP and UDP on one port of 127.0.0.1; ``heard`` tells of every contact."""

    def __init__(self) -> None:
        self._tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._tcp.setblocking(False)
        self.port: int = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._udp.setblocking(False)

    def heard(self) -> int:
        """Return how many connections and datagrams there were since the last call."""
        contacts = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._tcp.accept()[0].close()
                contacts += 1
        with contextlib.suppress(BlockingIOError):
            while True:
                self._udp.recv(65_536)
                contacts += 1
        return contacts

    def close(self) -> None:
        self._tcp.close()
        self._udp.close()


class Memory:
    """The most memory that any FFmpeg of ours was seen to hold (``VmHWM``), by looking often."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._peak_kib = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def peak_mib(self) -> float:
        """Return the peak since the last call."""
        peak, self._peak_kib = self._peak_kib, 0
        return peak / 1024

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_POLL_S):
            for task in Path("/proc/self/task").iterdir():
                with contextlib.suppress(OSError):
                    for pid in (task / "children").read_text().split():
                        self._look_at(Path("/proc") / pid)

    def _look_at(self, process: Path) -> None:
        with contextlib.suppress(OSError):
            # before its exec a child is a shadow of this process, whose memory is not its own
            if (process / "exe").readlink() != self._binary:
                return
            status = (process / "status").read_text()
            line = next((x for x in status.splitlines() if x.startswith("VmHWM:")), "VmHWM: 0")
            self._peak_kib = max(self._peak_kib, int(line.split()[1]))


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of an input that was processed."""

    seconds: float
    warnings: tuple[str, ...]
    canary_dbfs: float
    rms_dbfs: float


@dataclass(slots=True)
class _Kept:
    """The beginning of a programme, as it passes."""

    most_frames: int
    blocks: list[NDArray[np.float32]] = field(default_factory=list)

    def through(self, blocks: Blocks) -> Blocks:
        kept = 0
        for block in blocks:
            if kept < self.most_frames:
                self.blocks.append(block)
                kept += len(block)
            yield block


@dataclass(frozen=True, slots=True)
class Yard:
    """Probe, decode and analyse, where everything that must not happen would be noticed."""

    supervisor: Supervisor
    workshop: Workshop
    listener: Listener
    opens: Opens
    memory: Memory

    @property
    def source(self) -> Path:
        """Where an input lies, as in a job's folder."""
        return self.supervisor.job_dir / "source"

    def ingest(
        self, case: HostileInput, file_name: str, *, accept_truncated: bool = False
    ) -> Heard | AudioProcessorError:
        """Take an input as far as its analysis; return what came of it."""
        self.source.unlink(missing_ok=True)
        case.write(self.workshop, self.source)
        try:
            return self._heard(file_name, accept_truncated)
        except AudioProcessorError as error:
            return error

    def _heard(self, file_name: str, accept_truncated: bool) -> Heard:
        probed = probe(self.supervisor, self.source, file_name, LIMITS)
        rate_hz = probed.sample_rate_hz
        kept = _Kept(round(_KEPT_S * rate_hz))
        with decode(
            self.supervisor,
            self.source,
            probed,
            file_name=file_name,
            max_duration_s=LIMITS.max_duration_s,
            accept_truncated=accept_truncated,
        ) as decoder:
            analyse(kept.through(decoder), rate_hz, Chain())
        pcm = np.concatenate(kept.blocks)
        rms = float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)))
        return Heard(
            seconds=decoder.frames / rate_hz,
            warnings=(*probed.warnings, *decoder.warnings),
            canary_dbfs=canary_dbfs(pcm, rate_hz),
            rms_dbfs=float(20 * np.log10(max(rms, 1e-12))),
        )


def surroundings_in(folder: Path, listener: Listener) -> Surroundings:
    """Put the canary into the folder; return it and the listener's port."""
    return Surroundings(write_canary(folder), listener.port)


@contextlib.contextmanager
def closing_all(*things: Listener | Opens | Memory) -> Iterator[None]:
    """Close each of them in the end."""
    try:
        yield
    finally:
        for thing in things:
            thing.close()
