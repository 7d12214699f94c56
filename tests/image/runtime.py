"""An image run as a cluster would run it, without an engine: an OCI bundle, started by runc.

What restricted pod security asks for is set: the image's own user, a root that is read-only, no
capability, no new privileges, a seccomp filter, a memory limit. Needs root, buildah and runc.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECCOMP = Path("/usr/share/containers/seccomp.json")
"""The profile that container engines apply unless told otherwise, from Debian."""
IMAGE = "localhost/audio-processor"


@dataclass(frozen=True, slots=True)
class Storage:
    """buildah's, in the folder that ``build.sh`` filled."""

    folder: Path

    def buildah(self, *arguments: str) -> str:
        """Run it; return what it printed. Raises ``CalledProcessError``."""
        where = ["--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        return subprocess.run(
            ["buildah", *where, *arguments], check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    def config(self) -> dict[str, Any]:
        """Return the image's configuration: user, entrypoint, environment, labels."""
        inspected = json.loads(self.buildah("inspect", "--type", "image", IMAGE))
        config: dict[str, Any] = inspected["Docker"]["config"]
        return config

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Yield the image's root file system."""
        container = self.buildah("from", "--pull-never", IMAGE)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended, and what it said."""

    exit_code: int
    stdout: str
    stderr: str
    wall_s: float


@dataclass
class Container:
    """A container that may run. ``mounts`` are (source, target, options) binds."""

    root: Path
    image: Mapping[str, Any]
    bundle: Path
    arguments: Sequence[str]
    mounts: Sequence[tuple[Path, str, str]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] | None = None
    memory_mib: int = 1536
    name: str = field(default_factory=lambda: f"image-test-{uuid.uuid4().hex[:12]}")

    def start(self) -> subprocess.Popen[str]:
        """Start it; the process that is returned ends with the container, and by its code."""
        self.bundle.mkdir(parents=True, exist_ok=True)
        (self.bundle / "config.json").write_text(json.dumps(self._config()))
        return subprocess.Popen(
            ["runc", "run", "--bundle", str(self.bundle), self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, timeout_s: float = 600.0) -> Ended:
        """Run it to its end."""
        begun = time.monotonic()
        process = self.start()
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill("KILL")
            raise
        return Ended(process.returncode, stdout, stderr, time.monotonic() - begun)

    def kill(self, signal_name: str) -> None:
        """Send the container's first process a signal, as an engine's ``stop`` does."""
        subprocess.run(["runc", "kill", self.name, signal_name], check=True)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as HEALTHCHECK is."""
        return subprocess.run(
            ["runc", "exec", self.name, *command], check=False, capture_output=True, text=True
        )

    def is_running(self) -> bool:
        """Whether its first process has been started."""
        state = subprocess.run(
            ["runc", "state", self.name], check=False, capture_output=True, text=True
        )
        return state.returncode == 0 and json.loads(state.stdout)["status"] == "running"

    def _config(self) -> dict[str, Any]:
        user, _, group = self.image["User"].partition(":")
        entrypoint = self.image["Entrypoint"] if self.entrypoint is None else self.entrypoint
        told = [f"{key}={value}" for key, value in self.environment.items()]
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": int(user), "gid": int(group)},
                "args": [*entrypoint, *self.arguments],
                "env": [*self.image["Env"], *told],
                "cwd": self.image["WorkingDir"],
                "capabilities": {},  # none of any kind
                "noNewPrivileges": True,
            },
            "root": {"path": os.fspath(self.root), "readonly": True},
            "hostname": "image-test",
            "mounts": [*_KERNELS_OWN, *(_bind(*mount) for mount in self.mounts)],
            "linux": {
                # the network is the host's: what runs here needs none of its own
                "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
                "resources": {"memory": {"limit": self.memory_mib << 20}},
                "seccomp": seccomp(),
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
            },
        }


def seccomp() -> dict[str, Any]:
    """Return the engines' profile for a container without capabilities, as the runtime reads it."""
    profile = json.loads(SECCOMP.read_text())
    rules = [
        {key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key)}
        for rule in profile["syscalls"]
        if _applies(rule)
    ]
    return {
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile.get("defaultErrnoRet", 1),
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": rules,
    }


def _applies(rule: Mapping[str, Any]) -> bool:
    included, excluded = rule.get("includes") or {}, rule.get("excludes") or {}
    if included.get("caps") or "amd64" in excluded.get("arches", ()):
        return False
    return not included.get("arches") or "amd64" in included["arches"]


def _bind(source: Path, target: str, options: str) -> dict[str, Any]:
    return {
        "destination": target,
        "source": os.fspath(source),
        "type": "bind",
        "options": ["rbind", "nosuid", "nodev", *options.split(",")],
    }


def _tmpfs(target: str, *options: str) -> dict[str, Any]:
    return {
        "destination": target,
        "source": "tmpfs",
        "type": "tmpfs",
        "options": ["nosuid", *options],
    }


_KERNELS_OWN = (
    {"destination": "/proc", "source": "proc", "type": "proc"},
    _tmpfs("/dev", "strictatime", "mode=755", "size=65536k"),
    _tmpfs("/dev/shm", "nodev", "noexec", "mode=1777", "size=65536k"),
    _tmpfs("/tmp", "nodev", "mode=1777", "size=65536k"),
    {
        "destination": "/sys",
        "source": "/sys",
        "type": "none",
        "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
    },
)
