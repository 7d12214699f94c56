"""A profile as text: what is written is read, and what is broken is named."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_processor.dsp.bands import BANDS
from audio_processor.mastering.profile import Profile
from audio_processor.mastering.profile_file import dump_profile, fingerprint, load_profile
from audio_processor.model import Loudness
from tests.mastering_reference.signals import noise, pink, profile, profile_of

TEXT = dump_profile(profile(pink(), pink(-40.0)))

levels = st.one_of(st.just(-np.inf), st.floats(-200.0, 20.0))
spectra = st.lists(levels, min_size=BANDS, max_size=BANDS).map(np.array)
figures = st.one_of(st.none(), st.floats(-70.0, 20.0))


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    mid_db = draw(spectra)
    mid_db[40] = -20.0
    loudness = Loudness(draw(st.floats(-70.0, 0.0)), *(draw(figures) for _ in range(5)))
    correlation = draw(st.one_of(st.none(), st.floats(-1.0, 1.0)))
    return Profile(mid_db, draw(spectra), loudness, correlation, draw(st.floats(0.4, 1e5)))


@settings(deadline=None, max_examples=30)
@given(profiles())
def test_what_is_written_is_read_again(written: Profile) -> None:
    text = dump_profile(written)
    read = load_profile(text)
    assert dump_profile(read) == text
    for mine, given_db in ((read.mid_db, written.mid_db), (read.side_db, written.side_db)):
        np.testing.assert_allclose(mine, given_db, atol=0.0005001)
    assert read.duration_s == pytest.approx(written.duration_s, abs=0.001)


def test_a_fingerprint_is_of_the_figures_not_of_the_file() -> None:
    measured = profile(pink(), pink(-40.0))
    stored = load_profile("# our sound\n" + dump_profile(measured))
    assert fingerprint(stored) == fingerprint(measured)
    edited = load_profile(dump_profile(measured).replace("-30.000", "-30.001", 1))
    assert fingerprint(edited) != fingerprint(measured)


def test_a_measured_profile_is_read_again() -> None:
    measured = profile_of(noise(side=None, seconds=3.0))
    read = load_profile(dump_profile(measured))
    np.testing.assert_allclose(read.mid_db, measured.mid_db, atol=0.0005001)
    assert np.all(np.isneginf(read.side_db))
    assert read.is_audible


def test_it_is_for_people() -> None:
    assert "-30.000,  # 1000 Hz\n" in TEXT
    assert max(map(len, TEXT.splitlines())) <= 100
    assert tomllib.loads(TEXT)["version"] == 1


def test_what_has_no_loudness_is_not_written() -> None:
    with pytest.raises(ValueError, match="silent"):
        dump_profile(profile(pink(), integrated_lufs=None))


BROKEN = {
    "": "format is missing",
    "a song": "it is no TOML: .* line 1",
    TEXT.replace("audio-processor profile", "a recipe"): "format is 'a recipe'",
    TEXT.replace("version = 1", "version = 2"): "version is 2; it must be 1",
    TEXT.replace("version = 1", "version = true"): "version is true; it must be 1",
    TEXT.replace("[loudness]", "[loudnes]"): "loudnes is no key of a profile: did you mean",
    TEXT.replace("[loudness]", "[other]\n[loudness]"): "other is no key of a profile",
    TEXT.replace("[programme]", "programme = 3\n[loudness.programme]"): "programme is 3, no table",
    TEXT.replace("integrated_lufs = -14.000\n", ""): r"loudness\.integrated_lufs is missing",
    TEXT.replace("range_lu = 6.000", "range_lu = 'wide'"): r"loudness\.range_lu is 'wide'; it must",
    TEXT.replace("range_lu = 6.000", "range_lu = nan"): r"loudness\.range_lu is nan; it must",
    TEXT.replace("correlation = 0.500", "correlation = 2"): r"programme\.correlation is 2; it must",
    TEXT.replace("duration_s = 200.000", "duration_s = -1"): r"programme\.duration_s is -1; it",
    TEXT.replace("mid_db", "middle_db"): r"spectrum\.middle_db is no key .* mean 'mid_db'",
    TEXT.replace("side_db = [", "x = ["): r"spectrum\.x is no key of a profile",
    TEXT[: TEXT.index("side_db")]: r"spectrum\.side_db is missing",
    TEXT.replace("-30.000", "", 1).replace(" ,", " "): r"spectrum\.mid_db has 123 levels; .* 124",
    TEXT.replace("-30.000", "true", 1): r"spectrum\.mid_db\[0\] is true; it must be a number",
    TEXT.replace("-30.000", "nan", 1): r"spectrum\.mid_db\[0\] is nan; it must be a number",
    TEXT.replace("-30.000", "inf", 1): r"spectrum\.mid_db\[0\] is inf; it must be a number",
    TEXT.replace("-30.000", "-inf"): r"spectrum\.mid_db is silent",
    TEXT.replace("mid_db = [", "mid_db = 3\nx = ["): r"spectrum\.x is no key",
    "[" * 20_000: "TOML|nested",
    f"{TEXT.split('[programme]')[0]}a = {'[' * 5000}": "TOML|nested",
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_one_is_refused_by_its_key(text: str) -> None:
    assert text != TEXT
    with pytest.raises(ValueError, match=BROKEN[text]):
        load_profile(text)


@settings(deadline=None)
@given(st.data())
def test_whatever_is_in_a_file_it_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(start, min(len(TEXT), start + 40)))
    broken = TEXT[:start] + data.draw(st.text(max_size=10)) + TEXT[end:]
    try:
        read = load_profile(broken)
    except ValueError as error:
        assert str(error)
    else:
        assert read.is_audible
