"""One yard for all hostile inputs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from audio_processor.media.binary import FFmpegBinary, find_ffmpeg
from audio_processor.media.ffmpeg import ProcessLimits, Supervisor
from tests.hostile.inputs import Workshop
from tests.hostile.yard import Listener, Memory, Opens, Yard, closing_all, surroundings_in

CPU_S = 60
"""Of one FFmpeg: an input that would take longer has found a way to hold a worker up."""


@pytest.fixture(scope="session")
def binary() -> FFmpegBinary:
    return find_ffmpeg()


@pytest.fixture(scope="session")
def yard(binary: FFmpegBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    job = tmp_path_factory.mktemp("job")
    listener = Listener()
    surroundings = surroundings_in(job, listener)
    opens, memory = Opens(surroundings.canary), Memory(binary.path.resolve())
    with closing_all(listener, opens, memory):
        yield Yard(
            supervisor=Supervisor(binary, job, ProcessLimits(cpu_s=CPU_S)),
            workshop=Workshop(binary, tmp_path_factory.mktemp("workshop"), surroundings),
            listener=listener,
            opens=opens,
            memory=memory,
        )
