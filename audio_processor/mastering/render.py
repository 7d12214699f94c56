"""From a decoded programme to its master: chain, gain and rider, limiter. No I/O."""

from __future__ import annotations

from audio_processor.dsp.gain import Gain
from audio_processor.dsp.limiter import Limiter
from audio_processor.dsp.repair import RepairSpikes
from audio_processor.dsp.resample import Resample
from audio_processor.mastering.chain import Chain
from audio_processor.model import Blocks, Plan


def levelled(
    blocks: Blocks, sample_rate_hz: int, chain: Chain, plan: Plan, *, has_spikes: bool
) -> Blocks:
    """Yield the programme through the chain, at the plan's level, not limited yet.

    ``has_spikes``: the analysis left decoder spikes out, so the render must too.
    """
    repaired = RepairSpikes()(blocks, sample_rate_hz) if has_spikes else blocks
    mastered = chain(repaired, sample_rate_hz)
    return Gain(plan.gain_db, plan.rider)(mastered, sample_rate_hz)


def limited(blocks: Blocks, sample_rate_hz: int, plan: Plan, *, out_rate_hz: int) -> Blocks:
    """Yield the levelled programme at ``out_rate_hz`` under the master's ceiling.

    The limiter stands behind the resampler: resampling a limited signal would raise its peaks.
    It is there whatever the plan's mode: a chain makes peaks in what is too short to be levelled
    as well, and what stays below the ceiling it leaves as it is.
    """
    if out_rate_hz != sample_rate_hz:
        blocks = Resample(out_rate_hz)(blocks, sample_rate_hz)
    return Limiter(plan.ceiling_dbtp)(blocks, out_rate_hz)
