"""What examples need to run: music under the names they use, and an environment without ours."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from audio_processor.demo import render_demo


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of it."""
    return render_demo(tmp_path_factory.mktemp("music") / "music.wav", duration_s=12.0)


@pytest.fixture
def environment() -> dict[str, str]:
    """The program on the path, and no setting of the machine's own."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AUDIO_PROC", "AWS_"))}
    beside = str(Path(sys.executable).parent)
    return inherited | {
        "PATH": f"{beside}{os.pathsep}{inherited['PATH']}",
        "COLUMNS": "80",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
