"""What is cut short is refused; where the operator accepts it, it says how much is missing."""

from __future__ import annotations

import re

import pytest

from tests.hostile.encodings import ENCODINGS
from tests.hostile.inputs import CORRUPT, SECONDS
from tests.hostile.table import INPUTS
from tests.hostile.yard import Heard, Yard

BY_ID = {case.id: case for case in INPUTS}
INDEX_AT_THE_END = {"m4a", "caf alac"}
"""Without its last part nothing of the file can be read, whatever is accepted."""
SAYS_HOW_MUCH = re.compile(r"are missing|how much is missing cannot be told")
DECLARED = re.compile(r"of the ([\d.]+) s it declares ([\d.]+) (m?s) are missing")


@pytest.mark.parametrize("point", ["half", "99 %"])
@pytest.mark.parametrize("name", ENCODINGS)
def test_accepted_it_says_how_much_is_missing(name: str, point: str, yard: Yard) -> None:
    case = BY_ID[f"truncated: {name}, {point}"]
    result = yard.ingest(case, "song.mp3", accept_truncated=True)
    if name in INDEX_AT_THE_END:
        assert not isinstance(result, Heard)
        assert result.code == CORRUPT
        return
    assert isinstance(result, Heard), str(result)
    if (name, point) in {("mp3 vbr", "99 %"), ("avi mp3", "99 %")}:
        assert result.warnings == ()  # behind the audio; see the table
        return
    told = " ".join(result.warnings)
    assert SAYS_HOW_MUCH.search(told)
    assert 0 < result.seconds < SECONDS + 0.05
    if (declared := DECLARED.search(told)) is not None:
        missing_s = float(declared[2]) / (1000 if declared[3] == "ms" else 1)
        assert result.seconds + missing_s == pytest.approx(float(declared[1]), abs=0.1)
