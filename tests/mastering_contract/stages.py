"""Every stage of the chain at telling settings, and each where it does nothing."""

from __future__ import annotations

import numpy as np

from audio_processor.mastering.match import MatchCurve
from audio_processor.mastering.profile import CENTRES_HZ
from audio_processor.mastering.stage import MasteringStage
from audio_processor.mastering.stages.character import Character
from audio_processor.mastering.stages.de_esser import DeEsser
from audio_processor.mastering.stages.equaliser import Equaliser
from audio_processor.mastering.stages.glow import HarmonicGlow
from audio_processor.mastering.stages.input_level import InputLevel
from audio_processor.mastering.stages.masking_eq import MaskingEqualiser
from audio_processor.mastering.stages.multiband import MultibandCompressor
from audio_processor.mastering.stages.reference_match import ReferenceMatch
from audio_processor.mastering.stages.section_lift import SectionLift
from audio_processor.mastering.stages.transient import TransientSculpt
from audio_processor.mastering.stages.width import StereoWidth
from tests.mastering_colour.stages import STAGES as COLOUR
from tests.mastering_tone.stages import STAGES as TONE

DYNAMICS: dict[str, MasteringStage] = {
    "multiband": MultibandCompressor(low_makeup_db=6.0),
    "multiband by its one knob": MultibandCompressor.one_knob(10.0),
    "masking equaliser": MaskingEqualiser(amount_percent=100.0, max_dip_db=6.0),
    "section lift": SectionLift(lift_db=1.5),
}

TILTED = MatchCurve(CENTRES_HZ, 1.5 - np.log2(CENTRES_HZ / 1e3) / 4, np.log2(CENTRES_HZ / 1e3) / 4)
"""From 3 dB to nothing on the mid channel, the other way on the side."""

MADE_FROM_WHAT_WAS_HEARD: dict[str, MasteringStage] = {
    "input level": InputLevel(7.3),
    "reference match": ReferenceMatch(curve=TILTED),
}

STAGES: dict[str, MasteringStage] = {**MADE_FROM_WHAT_WAS_HEARD, **TONE, **DYNAMICS, **COLOUR}

NEUTRAL: tuple[MasteringStage, ...] = (
    InputLevel(),
    ReferenceMatch(),
    Equaliser(),
    StereoWidth(),
    StereoWidth(correlation_floor=1.0),
    MultibandCompressor.one_knob(1.0),
    MaskingEqualiser(amount_percent=0.0),
    MaskingEqualiser(max_dip_db=0.0),
    SectionLift(lift_db=0.0),
    Character(),
    HarmonicGlow(),
    TransientSculpt(),
    DeEsser(ratio=1.0),
    DeEsser(max_reduction_db=0.0),
)
