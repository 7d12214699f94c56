"""The built image at work: ``python -m tests.image.container FOLDER``, after ``build.sh FOLDER``.

Does what `make run` does, in the image, as its own user on a read-only root, and judges what came
of it; measures how long a start takes with the kernels that the build compiled, and without.
Ends with 1 if anything is not as it must be; writes the figures to ``FOLDER/container.json``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.image.runtime import Container, Ended, Storage
from tests.servers.daemon import free_port

ROOT = Path(__file__).parents[2]
DATA = "/var/lib/audio-processor"
COMPILED = "not among the prebuilt"
"""What ``dsp/prebuilt.py`` says of a kernel that had to be compiled."""
DEADLINE_S = 120.0
UNHEARD_S = 15.0
MEMORY_MIB = 1024
ROUNDS = 3


@dataclass
class Bench:
    """The image, mounted, and what was found of it."""

    root: Path
    image: dict[str, Any]
    folder: Path
    figures: dict[str, Any] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    made: int = 0

    def check(self, holds: bool, what: str, otherwise: str = "") -> None:
        """Say whether something holds, and remember where it does not."""
        print("ok  " if holds else "FAIL", what, "" if holds else otherwise, flush=True)
        if not holds:
            self.failed.append(what)

    def data(self) -> Path:
        """Return a new folder of the image's own user: its volume."""
        self.made += 1
        folder = self.folder / f"data-{self.made}"
        folder.mkdir()
        user, _, group = self.image["User"].partition(":")
        os.chown(folder, int(user), int(group))
        return folder

    def container(self, *arguments: str, data: Path, **more: Any) -> Container:
        """Return a container with that volume."""
        self.made += 1
        mounts = [(data, DATA, "rw"), *more.pop("mounts", ())]
        return Container(
            self.root,
            self.image,
            self.folder / f"bundle-{self.made}",
            arguments,
            mounts=mounts,
            memory_mib=MEMORY_MIB,
            **more,
        )


def main(folder: Path) -> int:
    """Run every check on the image in that folder."""
    storage = Storage(folder.absolute())
    with storage.mounted() as root, tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)  # the image's user has to get through it
        bench = Bench(root, storage.config(), Path(scratch))
        for step in (
            the_configuration,
            the_programs,
            the_demo,
            a_root_that_cannot_be_written,
            the_start,
            the_daemon,
            a_signal_at_once,
        ):
            print(f"── {step.__name__.replace('_', ' ')}", flush=True)
            step(bench)
    print(json.dumps(bench.figures, indent=2))
    (folder / "container.json").write_text(json.dumps(bench.figures, indent=2) + "\n")
    for what in bench.failed:
        print(f"FAIL {what}", file=sys.stderr)
    return 1 if bench.failed else 0


def the_configuration(bench: Bench) -> None:
    """What an engine reads of the image."""
    image = bench.image
    bench.check(image["User"] == "10001:10001", "its user is a number that is not root's")
    bench.check(image["Entrypoint"][0] == "/usr/bin/tini", "its first process is tini")
    bench.check(image["Healthcheck"]["Test"] == ["CMD", "healthcheck"], "it has a health check")
    labels = image["Labels"]
    bench.check(
        {f"org.opencontainers.image.{one}" for one in ("version", "revision")} <= set(labels),
        "its labels say version and revision",
        str(labels),
    )
    files = [path for path in bench.root.rglob("*") if path.is_file() and not path.is_symlink()]
    bench.figures["unpacked_mib"] = sum(path.stat().st_size for path in files) >> 20
    gaining = [str(path) for path in files if path.stat().st_mode & 0o6000]
    bench.check(not gaining, "no file lends its owner's rights", str(gaining))


def the_programs(bench: Bench) -> None:
    """FFmpeg with ffprobe, and who runs them."""
    data = bench.data()
    for program in ("ffmpeg", "ffprobe"):
        said = bench.container("-version", data=data, entrypoint=[program]).run()
        version = said.stdout.split()[2] if said.exit_code == 0 else "none"
        major = int(version.lstrip("n").split(".")[0]) if version != "none" else 0
        bench.check(major >= 7, f"{program} {version} is there", said.stderr)
        bench.figures[program] = version
    told = bench.container("-c", "id; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status", data=data,
                           entrypoint=["sh"]).run()  # fmt: skip
    bench.check(told.stdout.startswith("uid=10001("), "a process is uid 10001", told.stdout)
    bench.check("CapEff:\t0000000000000000" in told.stdout, "without any capability")
    bench.check("Seccomp:\t2" in told.stdout, "behind a seccomp filter", told.stdout)


def the_demo(bench: Bench) -> None:
    """`make run` in the image, then its own judgement of what was delivered."""
    data = bench.data()
    ingested = bench.container("ingest", data=data).run()
    bench.check(ingested.exit_code == 0, "ingest ends with 0", _end(ingested))
    bench.check(COMPILED not in ingested.stderr, "no kernel was compiled", _end(ingested))
    bench.figures["ingest_wall_s"] = round(ingested.wall_s, 2)
    track = data / "data/store/mwonya_audio_tracks/demo"
    names = {str(path.relative_to(track)) for path in track.rglob("*") if path.is_file()}
    expected = {"playlist.m3u8", "demo.m4a", "metadata.json", "waveform.json"}
    expected |= {f"{tier}/playlist.m3u8" for tier in ("low", "med", "high")}
    bench.check(expected <= names, "everything was delivered", str(sorted(expected - names)))
    owners = {path.stat().st_uid for path in track.rglob("*")}
    bench.check(owners == {10001}, "by the image's own user", str(owners))
    judged = bench.container("validate", f"{DATA}/{track.relative_to(data)}", data=data).run()
    bench.check(judged.exit_code == 0, "validate finds nothing to object to", _end(judged))
    probed = bench.container(
        *("-v", "error", "-show_entries", "stream=codec_name,sample_rate:format=duration"),
        *("-of", "json", f"{DATA}/{(track / 'demo.m4a').relative_to(data)}"),
        data=data,
        entrypoint=["ffprobe"],
    ).run()
    answer = json.loads(probed.stdout or "{}")
    stream = answer.get("streams", [{}])[0]
    bench.check(stream.get("codec_name") == "aac", "ffprobe reads the m4a", probed.stderr)


def a_root_that_cannot_be_written(bench: Bench) -> None:
    """Nothing outside the volume and /tmp takes a byte."""
    data = bench.data()
    for place in (
        "/",
        "/opt/kernels",
        "/opt/audio-processor",
        "/usr/local/bin",
        "/etc",
        "/var/lib",
    ):
        tried = bench.container("-c", f": > {place}/x", data=data, entrypoint=["sh"]).run()
        bench.check("Read-only" in tried.stderr, f"{place} cannot be written to", tried.stderr)


def the_start(bench: Bench) -> None:
    """Seconds to the first block: with the build's kernels, and with none, in turn."""
    levels = sorted(path.name for path in (bench.root / "opt/kernels").iterdir())
    bench.figures["levels"] = levels
    empty = bench.folder / "no-kernels"
    for level in levels:
        (empty / level).mkdir(parents=True)
    runs: dict[str, list[dict[str, float]]] = {"hot": [], "cold": []}
    for _ in range(ROUNDS):
        for name, mounts in (("hot", []), ("cold", [(empty, "/opt/kernels", "ro")])):
            data = bench.data()
            shutil.copy(ROOT / "bench" / "start.py", data)
            ended = bench.container(
                f"{DATA}/start.py", "--here", data=data, entrypoint=["python"], mounts=mounts
            ).run()
            if ended.exit_code != 0:
                bench.check(False, f"a {name} start", _end(ended))
                return
            runs[name].append(json.loads(ended.stdout))
    for name, several in runs.items():
        bench.figures[name] = {
            key: round(median(one[key] for one in several), 2) for key in several[0]
        }
    hot, cold = bench.figures["hot"], bench.figures["cold"]
    bench.check(hot["kernels_compiled"] == 0, "a hot start compiles nothing", str(hot))
    bench.check(hot["kernels_loaded"] > 0, "but loads", str(hot))
    bench.check(cold["kernels_compiled"] > 0, "without them everything is compiled", str(cold))


def the_daemon(bench: Bench) -> None:
    """`run`: healthy by the image's own check, and gone by SIGTERM with 0."""
    port = free_port()
    worker = bench.container(
        *bench.image["Cmd"],
        data=bench.data(),
        environment={"AUDIO_PROCESSOR__WORKER__HEALTH_PORT": str(port)},
    )
    begun = time.monotonic()
    check = bench.image["Healthcheck"]["Test"][1:]
    process = worker.start()
    try:
        healthy = _eventually(lambda: worker.execute(*check).returncode == 0)
        bench.check(healthy, "HEALTHCHECK finds the daemon healthy")
        bench.figures["healthy_after_s"] = round(time.monotonic() - begun, 2)
        begun = time.monotonic()
        worker.kill("TERM")
        _, stderr = process.communicate(timeout=DEADLINE_S)
        bench.check(process.returncode == 0, "SIGTERM ends an idle daemon with 0", stderr[-800:])
        bench.figures["stopped_after_s"] = round(time.monotonic() - begun, 2)
    finally:
        process.kill()
    dead = bench.container(
        *check,
        data=bench.data(),
        entrypoint=[],
        environment={"AUDIO_PROCESSOR__WORKER__HEALTH_PORT": str(port)},
    ).run()
    bench.check(dead.exit_code == 1, "HEALTHCHECK finds nobody where nobody is", dead.stderr)


def a_signal_at_once(bench: Bench) -> None:
    """SIGTERM before the program has said how to take it: in the middle of its imports."""
    for name, entrypoint in (("tini", None), ("no init", bench.image["Entrypoint"][2:])):
        worker = bench.container(
            *bench.image["Cmd"],
            data=bench.data(),
            entrypoint=entrypoint,
            environment={"AUDIO_PROCESSOR__WORKER__HEALTH_PORT": str(free_port())},
        )
        process = worker.start()
        try:
            started = _eventually(worker.is_running, pause_s=0.01)
            begun = time.monotonic()
            worker.kill("TERM")
            try:
                process.communicate(timeout=UNHEARD_S)
            except subprocess.TimeoutExpired:  # nobody heard it: what an engine does then
                worker.kill("KILL")
                process.communicate(timeout=DEADLINE_S)
            bench.figures[f"sigterm_at_once_{name.replace(' ', '_')}"] = {
                "exit_code": process.returncode,
                "after_s": round(time.monotonic() - begun, 2),
            }
            if entrypoint is None:
                bench.check(
                    started and process.returncode in {0, 128 + signal.SIGTERM},
                    "SIGTERM at once ends the container",
                    str(process.returncode),
                )
        finally:
            process.kill()


def _eventually(holds: Callable[[], bool], pause_s: float = 0.2) -> bool:
    """Ask again and again, until it holds or the deadline has passed."""
    until = time.monotonic() + DEADLINE_S
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(pause_s)
    return True


def _end(ended: Ended) -> str:
    return f"exit code {ended.exit_code}: {(ended.stdout + ended.stderr)[-2000:]}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
