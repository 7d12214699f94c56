"""Good files with something wrong in them, for Hypothesis to make smaller when it finds a fault."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

BOUNDED = settings(max_examples=150, deadline=None)
"""Seconds in all: CI looks every day, and what it finds once stays found (``.hypothesis``)."""


@st.composite
def mutants(draw: st.DrawFn, good: bytes) -> bytes:
    """The file with bytes changed, taken out, put in, or cut off."""
    data = bytearray(good)
    places = st.integers(0, max(0, len(data) - 1))
    for at, value in draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=12)):
        data[at] = value
    if draw(st.booleans()):
        at = draw(places)
        width = draw(st.sampled_from([1, 2, 4, 8]))
        extreme = draw(
            st.sampled_from([0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1])
        )
        data[at : at + width] = (extreme % 2 ** (8 * width)).to_bytes(width, "big")
    if draw(st.booleans()):
        at = draw(places)
        data[at:at] = draw(st.binary(max_size=40))
    if draw(st.booleans()):
        start = draw(places)
        del data[start : start + draw(st.integers(0, 600))]
    if draw(st.booleans()):
        del data[draw(places) :]
    return bytes(data)
