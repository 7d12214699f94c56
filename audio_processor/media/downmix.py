"""From any channel layout to stereo, by stated coefficients.

ITU-R BS.775-3 Table 2 (3/2 → 2/0), the same as ATSC A/52 §7.8 at its −3 dB levels: centre
and surrounds go in at −3 dB, each surround to its own side. What those do not name follows
from them: a single rear centre is split at a further −3 dB, side and back pairs of 7.1 each
count as surrounds, wide and front-of-centre pairs belong to the front. LFE is dropped, which
BS.775-3 leaves open. Nothing is scaled down to make the sum fit: samples are float, and the
loudness plan sets the level.

A mono channel goes to both sides at full level: dual mono.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audio_processor.model import Block

_MINUS_3_DB = 0.5**0.5

_GAINS: dict[str, tuple[float, float]] = {
    "FL": (1.0, 0.0),
    "FR": (0.0, 1.0),
    "FC": (_MINUS_3_DB, _MINUS_3_DB),
    "LFE": (0.0, 0.0),
    "BL": (_MINUS_3_DB, 0.0),
    "BR": (0.0, _MINUS_3_DB),
    "FLC": (1.0, 0.0),
    "FRC": (0.0, 1.0),
    "BC": (0.5, 0.5),
    "SL": (_MINUS_3_DB, 0.0),
    "SR": (0.0, _MINUS_3_DB),
    "TC": (0.5, 0.5),
    "TFL": (_MINUS_3_DB, 0.0),
    "TFC": (0.5, 0.5),
    "TFR": (0.0, _MINUS_3_DB),
    "TBL": (_MINUS_3_DB, 0.0),
    "TBC": (0.5, 0.5),
    "TBR": (0.0, _MINUS_3_DB),
    "DL": (1.0, 0.0),
    "DR": (0.0, 1.0),
    "BIL": (1.0, 0.0),
    "BIR": (0.0, 1.0),
    "WL": (1.0, 0.0),
    "WR": (0.0, 1.0),
    "LFE2": (0.0, 0.0),
}
"""(left, right) gain of each channel by FFmpeg's name for it."""

_FRONT = ("FL", "FR")
_LAYOUTS: dict[str, tuple[str, ...]] = {
    "mono": ("FC",),
    "stereo": _FRONT,
    "2.1": (*_FRONT, "LFE"),
    "3.0": (*_FRONT, "FC"),
    "3.0(back)": (*_FRONT, "BC"),
    "4.0": (*_FRONT, "FC", "BC"),
    "quad": (*_FRONT, "BL", "BR"),
    "quad(side)": (*_FRONT, "SL", "SR"),
    "3.1": (*_FRONT, "FC", "LFE"),
    "5.0": (*_FRONT, "FC", "BL", "BR"),
    "5.0(side)": (*_FRONT, "FC", "SL", "SR"),
    "4.1": (*_FRONT, "FC", "LFE", "BC"),
    "5.1": (*_FRONT, "FC", "LFE", "BL", "BR"),
    "5.1(side)": (*_FRONT, "FC", "LFE", "SL", "SR"),
    "6.0": (*_FRONT, "FC", "BC", "SL", "SR"),
    "6.0(front)": (*_FRONT, "FLC", "FRC", "SL", "SR"),
    "3.1.2": (*_FRONT, "FC", "LFE", "TFL", "TFR"),
    "hexagonal": (*_FRONT, "FC", "BL", "BR", "BC"),
    "6.1": (*_FRONT, "FC", "LFE", "BC", "SL", "SR"),
    "6.1(back)": (*_FRONT, "FC", "LFE", "BL", "BR", "BC"),
    "6.1(front)": (*_FRONT, "LFE", "FLC", "FRC", "SL", "SR"),
    "7.0": (*_FRONT, "FC", "BL", "BR", "SL", "SR"),
    "7.0(front)": (*_FRONT, "FC", "FLC", "FRC", "SL", "SR"),
    "7.1": (*_FRONT, "FC", "LFE", "BL", "BR", "SL", "SR"),
    "7.1(wide)": (*_FRONT, "FC", "LFE", "BL", "BR", "FLC", "FRC"),
    "7.1(wide-side)": (*_FRONT, "FC", "LFE", "FLC", "FRC", "SL", "SR"),
    "5.1.2": (*_FRONT, "FC", "LFE", "SL", "SR", "TFL", "TFR"),
    "5.1.2(back)": (*_FRONT, "FC", "LFE", "BL", "BR", "TFL", "TFR"),
    "octagonal": (*_FRONT, "FC", "BL", "BR", "BC", "SL", "SR"),
    "cube": (*_FRONT, "BL", "BR", "TFL", "TFR", "TBL", "TBR"),
    "downmix": ("DL", "DR"),
    "binaural": ("BIL", "BIR"),
    "5.1.4": (*_FRONT, "FC", "LFE", "SL", "SR", "TFL", "TFR", "TBL", "TBR"),
    "7.1.2": (*_FRONT, "FC", "LFE", "BL", "BR", "SL", "SR", "TFL", "TFR"),
    "7.1.4": (*_FRONT, "FC", "LFE", "BL", "BR", "SL", "SR", "TFL", "TFR", "TBL", "TBR"),
}
"""FFmpeg's standard layouts of up to eight channels, and Atmos beds, in their native order."""


def channel_names(layout: str) -> tuple[str, ...] | None:
    """Return the channels of a layout as FFmpeg prints it, in order; None if it is not known.

    Known are the standard names and FFmpeg's spelling of the others: ``3 channels (FL+FR+LFE)``.
    """
    if layout in _LAYOUTS:
        return _LAYOUTS[layout]
    _, _, listed = layout.partition("(")
    names = tuple(listed.removesuffix(")").split("+"))
    return names if all(name in _GAINS for name in names) else None


def stereo_matrix(channels: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the gains as a matrix of shape ``(channels, 2)``."""
    if len(channels) == 1:
        return np.ones((1, 2), np.float32)
    return np.array([_GAINS[name] for name in channels], np.float32)


def to_stereo(block: Block, matrix: NDArray[np.float32]) -> Block:
    """Return the block, ``(frames, channels)``, as ``(frames, 2)``.

    Column by column: a matrix product might be split over threads that nobody asked for.
    """
    stereo = np.zeros((len(block), 2), np.float32)
    for channel, gains in enumerate(matrix):
        for side, gain in enumerate(gains):
            if gain == 1.0:
                stereo[:, side] += block[:, channel]
            elif gain != 0.0:
                stereo[:, side] += gain * block[:, channel]
    return stereo
