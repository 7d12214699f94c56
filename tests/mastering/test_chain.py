"""The mastering chain: off costs nothing; on is one stage after another."""

from __future__ import annotations

import numpy as np

from audio_processor.dsp.gain import Gain
from audio_processor.mastering.chain import Chain
from audio_processor.model import Block


def test_an_empty_chain_is_not_there() -> None:
    blocks = iter([np.zeros((10, 2), np.float32)])
    assert Chain()(blocks, 44_100) is blocks


def test_stages_follow_each_other() -> None:
    block: Block = np.full((1000, 2), 0.1, np.float32)
    chain = Chain((Gain(6.0), Gain(-2.0), Chain((Gain(-4.0),))))
    (through,) = chain(iter([block]), 44_100)
    np.testing.assert_allclose(through, block, rtol=1e-6)
