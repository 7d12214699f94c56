"""What these stages promise besides the contract: they are linear."""

from __future__ import annotations

import numpy as np
import pytest

from audio_processor.mastering.stage import MasteringStage
from tests.dsp_limiter.signals import run, whole
from tests.mastering_tone.stages import STAGES


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_full_scale_is_no_border(stage: MasteringStage) -> None:
    block = np.random.default_rng(6).standard_normal((20_000, 2)).astype(np.float32)
    loud = run(stage, whole(block * np.float32(1024.0)), 44_100)
    np.testing.assert_allclose(
        loud, run(stage, whole(block), 44_100) * 1024.0, atol=1e-3, rtol=1e-5
    )
