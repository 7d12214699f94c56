"""Every hostile input gets the verdict it deserves, and reaches for nothing.

The table is ``docs/hostile-input.md``; ``UPDATE_GOLDENS=1`` writes it anew.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from audio_processor.errors import AudioProcessorError
from audio_processor.media.ffmpeg import FFmpegFailed, ProcessFailed
from audio_processor.outcome import ATTEMPTS_EXHAUSTED
from tests.hostile.inputs import HostileInput, Process, Reject, Survive
from tests.hostile.sentences import assert_fit_for_an_artist
from tests.hostile.table import INPUTS
from tests.hostile.yard import Heard, Yard

PAGE = Path(__file__).parents[2] / "docs" / "hostile-input.md"
TABLE_BEGINS = "<!-- table: written by tests/hostile/test_verdicts.py -->\n"
TROUBLESHOOTING = PAGE.with_name("troubleshooting.md")
NEVER_IN_A_ROW = {
    *("config_error", "permanent_error", "lease_lost", "interrupted", "request_refused"),
    *("lease_lapsed", "unknown_upload", "upload_busy"),
}
"""What ends a command or hands a track back, and what only its subclasses are raised of."""
MEMORY_MIB = 300
"""What the limit of 256 MiB allows, and what there is of the program itself."""


@pytest.mark.parametrize("case", INPUTS, ids=lambda case: case.id)
def test_verdict(case: HostileInput, yard: Yard) -> None:
    file_name = f"My song.{case.extension}"
    result = yard.ingest(case, file_name)
    assert yard.opens.count() == 0, "it opened its neighbour"
    assert yard.listener.heard() == 0, "it called somebody"
    assert yard.memory.peak_mib() < MEMORY_MIB
    if isinstance(result, Heard):
        assert result.canary_dbfs < max(-40.0, result.rms_dbfs - 20), "the canary is in it"
        judge_heard(case, result)
    else:
        judge_refused(case, result, file_name)


def judge_heard(case: HostileInput, heard: Heard) -> None:
    match case.verdict:
        case Process(seconds, within_s, warns):
            assert heard.seconds == pytest.approx(seconds, abs=within_s + 1e-9)
            assert bool(warns) == bool(heard.warnings), heard.warnings
            assert any(re.search(warns, warning) for warning in heard.warnings or ("",))
        case Survive(seconds):
            assert heard.seconds >= seconds - 0.25 or heard.warnings, "less, and not a word of it"
        case Reject():
            pytest.fail(f"it was processed: {heard}")


def judge_refused(case: HostileInput, error: AudioProcessorError, file_name: str) -> None:
    assert_fit_for_an_artist(error, file_name)
    match case.verdict:
        case Process():
            pytest.fail(f"it was refused: {error}")
        case Survive(_, codes):
            assert error.code in codes
        case Reject(code, says):
            assert (error.code, bool(re.search(says, str(error)))) == (code, True), str(error)


def test_there_are_enough_of_them_and_no_two_alike() -> None:
    assert len(INPUTS) >= 150
    assert [name for name, count in Counter(case.id for case in INPUTS).items() if count > 1] == []


def test_the_table_in_the_documentation_is_this_one() -> None:
    lines = ["| class | verdict | inputs |", "|---|---|---|"]
    for kind, cases in groupby(INPUTS, key=lambda case: case.kind):
        titles: dict[str, list[str]] = {}
        for case in cases:
            titles.setdefault(str(case.verdict), []).append(case.title.replace("|", "¦"))
        for verdict, of_it in titles.items():
            lines.append(f"| {kind} ({len(of_it)}) | {verdict} | {' · '.join(of_it)} |")
    head, begins, table = PAGE.read_text("utf-8").partition(TABLE_BEGINS)
    assert begins
    if os.environ.get("UPDATE_GOLDENS") == "1":
        PAGE.write_text(head + begins + "\n" + "\n".join(lines) + "\n", "utf-8")
        return
    assert table.strip().splitlines() == lines


def test_every_code_that_a_row_may_have_is_explained() -> None:
    """In the troubleshooting page, with what to do."""
    section = TROUBLESHOOTING.read_text("utf-8").split("\n## A track\n")[1].split("\n## ")[0]
    codes = {error.code for error in in_the_tree(AudioProcessorError)} - NEVER_IN_A_ROW
    codes |= {ATTEMPTS_EXHAUSTED, FFmpegFailed.code, ProcessFailed.code, AudioProcessorError.code}
    assert [code for code in sorted(codes) if f"`{code}" not in section] == []


def in_the_tree(error: type[AudioProcessorError]) -> Iterator[type[AudioProcessorError]]:
    for each in error.__subclasses__():
        if each.__module__ == "audio_processor.errors":
            yield each
            yield from in_the_tree(each)
