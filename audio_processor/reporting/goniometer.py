"""The goniometer: where the samples lie between left and right, as a picture in the page."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from audio_processor.reporting.axes import figure, path_of
from audio_processor.reporting.data import StereoImage
from audio_processor.reporting.markup import Markup, element

SIZE = 320.0
_CENTRE = SIZE / 2.0
_RADIUS = 138.0
_LEVELS_DBFS = (0.0, -12.0, -24.0)
_PNG = b"\x89PNG\r\n\x1a\n"
_FULL_PERCENTILE, _GAMMA = 99.5, 0.5
"""What is as dense as this share of the cells is drawn in full, and all below it by its root."""


def goniometer(image: StereoImage, kind: str, label: str) -> Markup:
    """Return the picture: mono upright, left and right along the diagonals, diamonds for levels.

    The density is a mask of 8 bits in a PNG, coloured by the page's style like every line.
    """
    mask = f"mask-{kind}"
    side = 2.0 * _RADIUS
    corner = _CENTRE - _RADIUS
    rings = [
        element("path", d=_diamond(10.0 ** (level / 40.0) * _RADIUS), class_="ring")
        for level in _LEVELS_DBFS
    ]
    names = [
        element(
            "text",
            "0 dBFS" if level == 0.0 else f"−{-level:.0f}",
            x=_CENTRE + 4,
            y=_CENTRE - 10.0 ** (level / 40.0) * _RADIUS + (-5 if level == 0.0 else 12),
            class_="tick",
        )
        for level in _LEVELS_DBFS
    ]
    half = _RADIUS / 2.0
    axes = path_of(
        [
            ((_CENTRE - half, _CENTRE - half), (_CENTRE + half, _CENTRE + half)),
            ((_CENTRE + half, _CENTRE - half), (_CENTRE - half, _CENTRE + half)),
        ]
    )
    return figure(
        SIZE,
        label,
        element(
            "mask",
            element(
                "image",
                href=density_png(image),
                x=corner,
                y=corner,
                width=side,
                height=side,
                preserveAspectRatio="none",
            ),
            id=mask,
            style="mask-type:luminance",
        ),
        element("path", d=axes, class_="grid"),
        element(
            "rect",
            x=corner,
            y=corner,
            width=side,
            height=side,
            class_=f"{kind} area density",
            mask=f"url(#{mask})",
        ),
        element("g", rings),
        element("g", names),
        element("text", "L", x=_CENTRE - half - 16, y=_CENTRE - half - 4, class_="tick strong"),
        element("text", "R", x=_CENTRE + half + 7, y=_CENTRE - half - 4, class_="tick strong"),
        width=SIZE,
        class_="square",
    )


def density_png(image: StereoImage) -> str:
    """Return the density as a data address of a grey PNG, white where most samples are."""
    counts = image.counts.astype(np.float64)
    seen = counts > 0
    shades = np.zeros(counts.shape)
    if seen.any():
        full = float(np.percentile(counts[seen], _FULL_PERCENTILE))
        shades[seen] = np.clip((counts[seen] / full) ** _GAMMA, 0.03, 1.0)
    return "data:image/png;base64," + base64.b64encode(
        grey_png(np.rint(shades * 255.0).astype(np.uint8))
    ).decode("ascii")


def grey_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an 8-bit grey picture as a PNG file (ISO/IEC 15948)."""
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)  # filter 0 each
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _diamond(radius: float) -> str:
    return (
        path_of(
            [
                (
                    (_CENTRE, _CENTRE - radius),
                    (_CENTRE + radius, _CENTRE),
                    (_CENTRE, _CENTRE + radius),
                    (_CENTRE - radius, _CENTRE),
                )
            ]
        )
        + "Z"
    )
