"""docs/capacity.md says what the calculator answers; ``UPDATE_GOLDENS=1`` writes it anew."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from audio_processor.capacity import capacity
from audio_processor.capacity_demand import Demand
from audio_processor.capacity_figures import MEMORY_BASE_MIB, MEMORY_SLOT_MIB
from audio_processor.capacity_words import markdown, sections

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "capacity.md"
DEPLOYMENT = ROOT / "k8s" / "base" / "deployment.yaml"
ANSWER = re.compile(
    r"<!-- answer: audio-processor capacity(?P<options>[^>]*?)(?: \| (?P<only>[^>]*))? -->\n"
    r"(?P<tables>.*?)<!-- end of answer -->",
    re.DOTALL,
)


def demand_of(options: str) -> Demand:
    words = shlex.split(options)
    names = {each.name for each in fields(Demand)}
    stated = {
        option.removeprefix("--").replace("-", "_"): float(value)
        for option, value in zip(words[::2], words[1::2], strict=True)
    }
    assert stated.keys() <= names
    return Demand(**stated)


def rewritten(match: re.Match[str]) -> str:
    wanted = (match["only"] or "").split(", ") if match["only"] else None
    head = match.group(0).split("\n", 1)[0]
    return (
        f"{head}\n{markdown(capacity(demand_of(match['options'])), wanted)}<!-- end of answer -->"
    )


def test_the_tables_are_the_calculators() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(ANSWER.findall(page)) >= 2
    expected = ANSWER.sub(rewritten, page)
    if os.environ.get("UPDATE_GOLDENS") == "1":
        PAGE.write_text(expected, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected, "UPDATE_GOLDENS=1 writes the tables anew"


def test_every_section_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for section in sections(capacity(Demand())):
        assert f"| {section.title} | | |" in page


def test_the_defaults_are_the_manifests() -> None:
    """Three replicas of what the page reckons with: cores, slots, and room in memory."""
    if not DEPLOYMENT.is_file():
        pytest.fail(f"{DEPLOYMENT} is gone: where are the requests now?")
    manifest = DEPLOYMENT.read_text(encoding="utf-8")
    request = re.search(r"requests:\s+cpu: \"?(\d+)\"?\s+memory: (\d+)(Mi|Gi)", manifest)
    assert request is not None
    cpu, memory_mib = float(request[1]), float(request[2]) * (1024 if request[3] == "Gi" else 1)
    settings = (ROOT / "k8s" / "base" / "settings.env").read_text(encoding="utf-8")
    slots = re.search(r"WORKER__CONCURRENCY=(\d+)", settings)
    assert slots is not None
    asked = Demand()
    assert (asked.cores_per_pod, asked.concurrency) == (cpu, float(slots[1]))
    needed_mib = MEMORY_BASE_MIB.value + asked.concurrency * MEMORY_SLOT_MIB.value
    assert needed_mib <= memory_mib
