"""waveform.json: peaks for drawing, in the form of bbc/audiowaveform's version 2. Pure."""

from __future__ import annotations

import json
from typing import Literal

import numpy as np

from audio_processor.model import Waveform

WAVEFORM_NAME = "waveform.json"


def waveform_json(waveform: Waveform, bits: Literal[8, 16] = 8) -> str:
    """Return the document; each pixel is a minimum and a maximum for every channel.

    Eight bits are what a screen can show, at half the size.
    """
    data = waveform.data
    if bits == 8:
        data = np.right_shift(data, 8)
    document = {
        "version": 2,
        "channels": waveform.channels,
        "sample_rate": waveform.sample_rate_hz,
        "samples_per_pixel": waveform.samples_per_pixel,
        "bits": bits,
        "length": len(data),
        "data": data.reshape(-1).tolist(),
    }
    return json.dumps(document, separators=(",", ":"))
