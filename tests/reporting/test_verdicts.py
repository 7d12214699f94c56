"""Verdicts: each condition, its number and the limit it was judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from audio_processor.model import Targets
from audio_processor.reporting.data import Delivered, Programme, ReportData
from audio_processor.reporting.gather import Gathered
from audio_processor.reporting.verdicts import Verdict, mono_loss_db, verdicts
from tests.reporting.material import RATE_HZ
from tests.reporting.test_series import programme


@pytest.fixture
def data(song: Gathered) -> ReportData:
    return song.data


def of(data: ReportData, subject: str) -> Verdict:
    [found] = [each for each in verdicts(data) if each.subject == subject]
    return found


def told(data: ReportData) -> Delivered:
    assert data.delivered is not None
    return data.delivered


def with_file(data: ReportData, name: str, **changes: Any) -> ReportData:
    """The delivery with one file's figures changed."""
    loudness = {k: v for k, v in changes.items() if k.endswith(("lufs", "dbtp", "lu"))}
    others = {k: v for k, v in changes.items() if k not in loudness}
    files = tuple(
        replace(each, loudness=replace(each.loudness, **loudness), **others)
        if each.name == name
        else each
        for each in told(data).files
    )
    return replace(data, delivered=replace(told(data), files=files))


def with_facts(data: ReportData, **changes: Any) -> ReportData:
    assert data.before is not None
    return replace(data, before=replace(data.before, facts=replace(data.before.facts, **changes)))


def test_a_good_track_passes_everything(data: ReportData) -> None:
    found = verdicts(data)
    assert {each.subject for each in found} == {
        "Loudness", "True peak", "Loudness range", "Length", "Treble", "Clipping", "DC offset",
        "Silent ends", "Mono",
    }  # fmt: skip
    assert {each.outcome for each in found} == {"pass"}
    for each in found:
        assert any(character.isdigit() for character in each.sentence) or each.subject == "Clipping"


def test_loudness_off_the_target_names_file_number_and_reason(data: ReportData) -> None:
    off = with_file(data, "med", integrated_lufs=-16.25, limited_by="max_gain")
    found = of(off, "Loudness")
    assert found.outcome == "attention"
    for word in ("med −16.25 LUFS", "−14.0 LUFS ± 0.3 LU", "more gain"):
        assert word in found.sentence
    assert of(with_file(data, "med", integrated_lufs=-14.3), "Loudness").outcome == "pass"


def test_peaks_over_the_limit_name_file_and_number(data: ReportData) -> None:
    found = of(with_file(data, "low", true_peak_dbtp=-0.42, limited_by="codec_peak"), "True peak")
    assert found.outcome == "attention"
    assert "−0.42 dBTP (low)" in found.sentence and "−1.0 dBTP" in found.sentence
    assert "overshoots" in found.sentence


def test_a_range_too_wide_is_told_unless_it_was_to_be_kept(data: ReportData) -> None:
    wide = with_file(data, "m4a", range_lu=14.0)
    assert of(wide, "Loudness range").outcome == "attention"
    assert "14.0 LU" in of(wide, "Loudness range").sentence
    kept = replace(wide, delivered=replace(told(wide), targets=Targets(range_mode="preserve")))
    assert of(kept, "Loudness range").outcome == "pass"


def test_a_length_that_is_off_is_told(data: ReportData) -> None:
    longer = told(data).source_duration_s + 0.021
    found = of(replace(data, delivered=replace(told(data), source_duration_s=longer)), "Length")
    assert found.outcome == "attention" and "-21 ms" in found.sentence.replace("−", "-")


@pytest.mark.parametrize(
    ("subject", "changes", "says"),
    [
        ("Clipping", {"clipped_runs": 258}, "258 runs"),
        ("Clipping", {"clipped_runs": 1}, "1 run of"),
        ("Spikes", {"decoder_spikes": 2}, "2 isolated"),
        ("DC offset", {"dc_offset": (0.0, -0.02)}, "0.02000"),
        ("Silent ends", {"leading_silence_s": 1.5}, "1.50 s"),
        ("Silent ends", {"trailing_silence_s": 9.0}, "9.00 s"),
    ],
)
def test_what_is_wrong_with_a_source(
    data: ReportData, subject: str, changes: dict[str, Any], says: str
) -> None:
    found = of(with_facts(data, **changes), subject)
    assert found.outcome == "attention" and says in found.sentence


def test_silence_is_told_once_and_nothing_is_said_of_its_ends(
    odd_tracks: dict[str, ReportData],
) -> None:
    found = verdicts(odd_tracks["silent"])
    assert [each.subject for each in found if each.outcome == "attention"] == [
        "Loudness",
        "Silence",
    ]
    assert "Silent ends" not in {each.subject for each in found}
    assert "Silence" not in {each.subject for each in verdicts(odd_tracks["tiny"])}


def bright() -> Programme:
    """Nearly all of it above 10 kHz."""
    noise = np.random.default_rng(1).standard_normal((4 * RATE_HZ, 2))
    return programme(np.asarray(0.3 * np.diff(noise, n=4, axis=0), np.float32) * np.float32(0.1))


def test_treble_that_a_codec_cuts_off_is_told(data: ReportData) -> None:
    found = of(replace(data, before=bright()), "Treble")
    assert found.outcome == "attention"
    assert "low 8.6 kHz" in found.sentence and "0.5 LU" in found.sentence


def test_mono_loss_is_3_db_for_unrelated_sides_and_all_for_opposed_ones() -> None:
    noise = np.asarray(0.2 * np.random.default_rng(2).standard_normal((2 * RATE_HZ, 2)), np.float32)
    assert mono_loss_db(programme(noise)) == pytest.approx(3.01, abs=0.05)
    same = np.repeat(noise[:, :1], 2, axis=1)
    assert mono_loss_db(programme(same)) == pytest.approx(0.0, abs=1e-6)
    assert mono_loss_db(programme(same * np.array([1, -1], np.float32))) > 60.0


def correlated(data: ReportData, before: float | None, after: float | None) -> ReportData:
    """The report with other correlations of the source and of the download."""
    assert data.before is not None and data.after is not None
    return replace(
        data,
        before=replace(data.before, facts=replace(data.before.facts, correlation=before)),
        after=replace(data.after, facts=replace(data.after.facts, correlation=after)),
    )


@pytest.mark.parametrize(
    ("before", "after", "outcome", "says"),
    [
        (0.4, -0.26, "attention", "The source was (+0.40): it is the mastering"),
        (-0.3, 0.5, "pass", "The source was not (−0.30)."),
        (-0.3, -0.26, "attention", "The source was so already (−0.30)."),
        (None, -0.26, "attention", "The source was: it is the mastering"),
    ],
)
def test_mono_is_judged_by_what_is_delivered_and_says_whether_it_came_so(
    data: ReportData, before: float | None, after: float, outcome: str, says: str
) -> None:
    found = of(correlated(data, before, after), "Mono")
    assert found.outcome == outcome
    assert f"Correlation {after:+.2f} in the download".replace("-", "−") in found.sentence
    assert says in found.sentence


def test_mono_of_two_that_are_safe_is_the_downloads_alone(data: ReportData) -> None:
    found = of(correlated(data, 0.4, 0.5), "Mono")
    assert found.outcome == "pass" and "source" not in found.sentence


@pytest.mark.parametrize(("correlation", "outcome"), [(-0.3, "attention"), (0.3, "pass")])
def test_without_a_download_mono_is_judged_by_the_source_and_says_so(
    data: ReportData, correlation: float, outcome: str
) -> None:
    alone = replace(correlated(data, correlation, 0.0), delivered=None, after=None)
    found = of(alone, "Mono")
    assert found.outcome == outcome
    assert f"Correlation {correlation:+.2f} in the source".replace("-", "−") in found.sentence


def test_without_a_delivery_only_the_source_is_judged(data: ReportData) -> None:
    alone = replace(data, delivered=None, after=None)
    assert {each.subject for each in verdicts(alone)} == {
        "Clipping",
        "DC offset",
        "Silent ends",
        "Mono",
    }
    assert verdicts(replace(alone, before=None)) == ()
