"""The page: whole, self-contained, inert, and with the right numbers in it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from audio_processor.analyze import analyze_file
from audio_processor.reporting.cards import length
from audio_processor.reporting.data import AttemptTold, ReportData, Story
from audio_processor.reporting.gather import Gathered
from audio_processor.reporting.markup import plain
from audio_processor.reporting.page import page
from audio_processor.settings import Settings
from tests.reporting.html import Element, read_page
from tests.reporting.material import HOSTILE_NAME

SECTIONS = ("verdicts", "waveform", "loudness", "gain", "spectrum", "stereo", "renditions",
            "mastering", "source")  # fmt: skip
MAX_PAGE_BYTES = 600_000


@pytest.fixture(scope="module")
def shown(song: Gathered) -> Element:
    return read_page(page(song.data))


def reports(song: Gathered, hostile: ReportData, odd_tracks: dict[str, ReportData]) -> list[str]:
    return [page(data) for data in (song.data, hostile, *odd_tracks.values())]


def test_every_page_asks_for_nothing_outside(
    song: Gathered, hostile: ReportData, odd_tracks: dict[str, ReportData]
) -> None:
    for text in reports(song, hostile, odd_tracks):
        root = read_page(text)
        assert len(text) < MAX_PAGE_BYTES
        assert not {e.name for e in root.all()} & {"script", "iframe", "object", "embed", "base"}
        for element in root.all():
            for name, value in element.attributes.items():
                assert not name.startswith("on"), f"{name} in <{element.name}>"
                if name in {"src", "href", "xlink:href", "action", "srcset"}:
                    assert (value or "").startswith(("data:", "#")), value
        [style] = root.all("style")
        assert not re.search(r"url\(|@import|https?:", style.text)
        assert re.findall(r"url\((.*?)\)", text) == ["#mask-before", "#mask-after"]


def test_a_policy_forbids_what_the_page_does_not_need(shown: Element) -> None:
    [policy] = [
        m.attributes["content"] or ""
        for m in shown.all("meta")
        if m.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "script-src" not in rules
    assert rules["img-src"] == "data:"


def test_every_section_is_there_once_and_labelled(shown: Element) -> None:
    ids = [e.attributes["id"] for e in shown.all() if "id" in e.attributes]
    assert len(set(ids)) == len(ids)
    for name in SECTIONS:
        section = shown.one(name)
        assert shown.one(section.attributes["aria-labelledby"] or "").text
    pictures = shown.all("svg")
    assert len(pictures) >= 9
    for picture in pictures:
        assert picture.attributes["role"] == "img"
        assert len(picture.attributes["aria-label"] or "") > 20


def test_numbers_are_those_of_the_meters(
    song: Gathered, song_file: Path, shown: Element, tmp_path: Path
) -> None:
    source = analyze_file(song_file, Settings())
    rows = {row[0]: row[1:] for row in shown.one("renditions").rows()}
    before = source.loudness
    for cell, value in zip(
        rows["source"], (before.integrated_lufs, before.true_peak_dbtp, before.range_lu),
        strict=False,
    ):  # fmt: skip
        assert value is not None
        assert float(cell.replace("−", "-")) == pytest.approx(value, abs=0.006)
    assert rows["source"][3] == f"{source.duration_s:.3f}"
    assert song.after is not None and song.data.after is not None
    heard = song.data.after.loudness
    assert heard.integrated_lufs is not None and heard.true_peak_dbtp is not None
    # what the line measured of its own encode, and what the report hears in the m4a
    assert float(rows["m4a"][0].replace("−", "-")) == pytest.approx(heard.integrated_lufs, abs=0.01)
    assert float(rows["m4a"][1].replace("−", "-")) == pytest.approx(heard.true_peak_dbtp, abs=0.02)
    assert list(rows) == ["file", "source", "low", "med", "high", "m4a"]
    tiles = {e.all("dt")[0].text: e.all("dd")[0].text for e in shown.all("div") if e.all("dt")[:1]}
    assert tiles["Integrated loudness"] == f"−{abs(heard.integrated_lufs):.1f}LUFS"
    assert tiles["Length"] == length(song.data.after.duration_s)
    assert song.data.after.duration_s == pytest.approx(source.duration_s, abs=1e-3)


def test_the_files_own_words_are_shown(shown: Element) -> None:
    assert [h.text for h in shown.all("h1")] == ["Abantu"]
    assert "Ålpha & Ω" in shown.one("source").text
    assert "song.flac" in shown.one("source").text


def test_hostile_texts_are_shown_and_do_nothing(hostile: ReportData) -> None:
    root = read_page(page(hostile))
    assert root.all("title")[0].text == f"{plain(hostile.title)} – audio report"
    assert "<script>alert('t')</script>" in root.all("h1")[0].text
    assert "\u202e" not in root.text
    assert plain(HOSTILE_NAME) in root.one("source").text
    assert {e.name for e in root.all("img")} == set()


@pytest.mark.parametrize(
    ("name", "missing", "words"),
    [
        ("silent", {"gain", "spectrum"}, "there is no loudness"),
        ("tiny", {"gain"}, "there is no loudness"),
        ("mono", set(), "it is mono"),
        ("one_side", set(), "One side is silent"),
    ],
)
def test_odd_tracks_have_a_page_too(
    odd_tracks: dict[str, ReportData], name: str, missing: set[str], words: str
) -> None:
    root = read_page(page(odd_tracks[name]))
    ids = {e.attributes.get("id") for e in root.all("section")}
    assert set(SECTIONS) - ids == missing
    assert words in root.text
    assert not re.search(r"\bnan\b|\binf\b", root.text, re.IGNORECASE)
    paths = " ".join(p.attributes.get("d") or "" for p in root.all("path"))
    assert not re.search(r"nan|inf", paths, re.IGNORECASE)


def test_a_failed_upload_says_why(song: Gathered) -> None:
    story = Story(
        upload_id="u-1",
        status="failed",
        error_code="corrupt_media",
        error_message="'x.flac' is cut short & <damaged>.",
        attempts=(AttemptTold(1, "failed", None, None, "corrupt_media: cut short"),),
    )
    data = replace(song.data, story=story, delivered=None, after=None, gain=None, notes=("No m4a",))
    root = read_page(page(data))
    assert "'x.flac' is cut short & <damaged>." in root.one("failure").text
    assert "corrupt_media" in root.one("failure").text
    assert root.one("attempts").rows()[1] == ["1", "", "", "failed", "corrupt_media: cut short"]
    assert "No m4a" in root.one("notes").text
    assert len(root.one("waveform").all("svg")) == 1
    nothing = replace(data, before=None, source=None)
    assert read_page(page(nothing)).one("failure").text
