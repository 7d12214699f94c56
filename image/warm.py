"""Compile every kernel for each level of CPU: ``warm.py FOLDER [LEVELS]``, at an image's build.

It does what the program does, by its own commands, on short music: every preset, a match, mono
and stereo, export, report. Without LEVELS it is all that this CPU has. numba keeps what that
compiled in ``FOLDER/<level>``, one process a level, from where ``audio_processor.dsp.prebuilt``
loads it. A kernel that no command reached is an error: it would be compiled in every pod.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import struct
import subprocess
import sys
import tempfile
import wave
from collections.abc import Collection, Iterator
from pathlib import Path

import audio_processor

DEMO_S = 12.0
PROFILE = "house"


def main(folder: Path, wanted: Collection[str]) -> None:
    """Fill the folder, one level after another; all of them unless some are wanted."""
    import llvmlite.binding  # type: ignore[import-untyped]  # publishes none

    from audio_processor.dsp.prebuilt import LEVELS

    features = llvmlite.binding.get_host_cpu_features()
    has = {name for name, present in features.items() if present}
    mine = [level for level in LEVELS if level.machine == platform.machine()]
    if unknown := set(wanted) - {level.name for level in mine}:
        sys.exit(f"warm: {sorted(unknown)} are no levels of {platform.machine()}")
    for level in mine:
        if wanted and level.name not in wanted:
            continue
        if not level.features <= has:
            # its code cannot run here, so it cannot be compiled by running
            print(f"warm: {level.name} left out: this CPU lacks {sorted(level.features - has)}")
            continue
        told = {
            "NUMBA_CPU_NAME": level.name,
            "NUMBA_CPU_FEATURES": "",
            "NUMBA_CACHE_DIR": os.fspath(folder / level.name),
        }
        subprocess.run(
            [sys.executable, os.fspath(Path(__file__).absolute()), "--here"],
            env={**os.environ, **told},
            check=True,
        )


def warm_here() -> None:
    """Run everything in this process, for the level that the environment names."""
    with tempfile.TemporaryDirectory() as there:
        os.chdir(there)
        os.environ["AUDIO_PROCESSOR__MASTERING__PROFILES"] = json.dumps({PROFILE: "house.toml"})
        os.environ["AUDIO_PROCESSOR__WORKER__HEALTH_PORT"] = "0"
        _render_music()
        from audio_processor.cli import app

        for command in _commands():
            print("warm:", *command, flush=True)
            exit_code = app(list(command), standalone_mode=False)
            if exit_code not in {None, 0}:
                sys.exit(f"warm: {' '.join(command)} ended with {exit_code}")
    unreached = sorted(_unreached())
    if unreached:
        sys.exit(f"warm: no command has compiled {', '.join(unreached)}")


def _render_music() -> None:
    from audio_processor.demo import render_demo

    render_demo(Path("stereo.wav"), duration_s=DEMO_S)
    with wave.open("stereo.wav", "rb") as stereo, wave.open("mono.wav", "wb") as mono:
        frames = stereo.readframes(stereo.getnframes())
        width = stereo.getsampwidth()
        mono.setnchannels(1)
        mono.setsampwidth(width)
        mono.setframerate(stereo.getframerate())
        step = 2 * width
        mono.writeframes(b"".join(frames[at : at + width] for at in range(0, len(frames), step)))


def _commands() -> Iterator[tuple[str, ...]]:
    """Yield what reaches every kernel: a stage that would change nothing runs none."""
    from audio_processor.settings.mastering import PRESETS

    yield "profile", "build", "stereo.wav", "--output", "house.toml"
    for preset in PRESETS:
        yield "ingest", "stereo.wav", "--mastering", preset
    yield "ingest", "stereo.wav", "--mastering", json.dumps({"stages": _every_stage()})
    yield "ingest", "stereo.wav", "--mastering", json.dumps({"reference": PROFILE})
    yield "ingest", "stereo.wav", "--mastering", "auto"
    yield "ingest", "mono.wav"
    yield "validate", "data/store/mwonya_audio_tracks/stereo"
    yield "master", "stereo.wav", "16.wav", "--bit-depth", "16"
    yield "master", "stereo.wav", "float.wav", "--bit-depth", "32"
    _add_spike(Path("float.wav"))
    yield "analyze", "float.wav"
    yield "report", "stereo.wav", "--output", "report.html"


def _every_stage() -> dict[str, object]:
    """Return a wish for every stage at once, with what no preset asks of one."""
    from audio_processor.mastering.catalogue import STAGES

    return {**dict.fromkeys(STAGES, True), "width": {"microshift_percent": 50}}


def _add_spike(wav: Path) -> None:
    """Put into a float wav what a decoder makes of a damaged frame: one sample at +40 dBFS."""
    data = bytearray(wav.read_bytes())
    begin = data.index(b"data") + 8
    struct.pack_into("<f", data, begin + (len(data) - begin) // 8 * 4, 100.0)
    wav.write_bytes(data)


def _unreached() -> Iterator[str]:
    """Yield the kernels of the whole package that nothing was compiled of."""
    (package,) = audio_processor.__path__
    for path in Path(package).rglob("*.py"):
        if "dsp.jit import kernel" in path.read_text():  # others may want what is an extra
            parts = path.relative_to(Path(package).parent).with_suffix("").parts
            importlib.import_module(".".join(parts))
    from audio_processor.dsp.jit import KERNELS

    for kernel in KERNELS:
        if not kernel.signatures:
            yield f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--here"]:
        warm_here()
    else:
        main(Path(sys.argv[1]).absolute(), "".join(sys.argv[2:]).split())
