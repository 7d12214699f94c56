"""What a row may ask for: each form, each refusal, and that nothing else ever comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.errors import MasteringRejected
from audio_processor.mastering.request import MAX_BYTES, Wish, read_wish
from audio_processor.mastering.stages.multiband import MultibandCompressor
from audio_processor.outcome import sentence
from uploads_queue.schema import MAX_WISH

FULL = {
    "preset": "warm",
    "stages": {"equaliser": {"presence_db": 2}, "glow": False, "mono_sub": True},
    "reference": "house",
    "match_strength_percent": 80,
    "integrated_lufs": -16,
}


def refusal(text: str) -> str:
    with pytest.raises(MasteringRejected) as raised:
        read_wish(text)
    return str(raised.value)


def test_the_full_form() -> None:
    assert read_wish(json.dumps(FULL)) == Wish(
        preset="warm",
        changes={"equaliser": {"presence_db": 2.0}, "glow": None, "mono_sub": {}},
        reference="house",
        match_strength_percent=80.0,
        integrated_lufs=-16.0,
    )


@pytest.mark.parametrize(
    "text",
    ["bass-boost", " Bass Boost\n", "BASS_BOOST", '"bass-boost"', '{"preset": "Bass boost"}'],
)
def test_a_name_however_it_is_spelled(text: str) -> None:
    assert read_wish(text) == Wish(preset="bass-boost")


@pytest.mark.parametrize("text", [None, "", " \n", "null", "{}", '{"preset": null}', '""'])
def test_nothing_asked_for(text: str | None) -> None:
    assert read_wish(text) == Wish()


def test_a_reference_may_be_refused() -> None:
    assert read_wish('{"reference": null}') == Wish(refuses_reference=True)


def test_the_simple_form_is_translated() -> None:
    simple = {
        "targetLoudness": -12, "compressionRatio": 3, "eqProfile": "bass-boost", "stereoWidth": 120,
    }  # fmt: skip
    wish = read_wish(json.dumps(simple))
    assert (wish.preset, wish.integrated_lufs) == ("bass-boost", -12.0)
    assert wish.changes["width"] == {"width_percent": 120.0}
    assert MultibandCompressor(**wish.changes["multiband"] or {}) == MultibandCompressor.one_knob(3)


def test_a_compression_ratio_of_one_is_no_compression() -> None:
    wish = read_wish('{"compressionRatio": 1}')
    assert MultibandCompressor(**wish.changes["multiband"] or {}).is_neutral


def test_what_is_set_beside_the_one_knob_wins() -> None:
    wish = read_wish('{"stages": {"multiband": {"low_ratio": 1.5, "compression_ratio": 4}}}')
    change = wish.changes["multiband"]
    assert change is not None
    assert (change["low_ratio"], change["mid_ratio"]) == (1.5, 3.0)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"targetLoudness": -9}, "targetLoudness is -9; it must be a number from -20 to -10."),
        ({"targetLoudness": -20.5}, "targetLoudness is -20.5; it must be a number from -20 "),
        ({"compressionRatio": 11}, "compressionRatio is 11; it must be a number from 1 to 10."),
        ({"compressionRatio": "3"}, "compressionRatio is '3'; it must be a number from 1 to"),
        ({"compressionRatio": True}, "compressionRatio is true; it must be a number from 1"),
        ({"stereoWidth": 201}, "stereoWidth is 201; it must be a number from 0 to 200."),
        (
            {"eqProfile": "loud"},
            "eqProfile is 'loud'; it must be one of neutral, bright, warm, bass-boost.",
        ),
        ({"eqProfile": 7}, "eqProfile is 7; it must be a name."),
        ({"eqProfil": "warm"}, "eqProfil does not exist: did you mean 'eqProfile'?"),
        (
            {"preset": "warm", "stereoWidth": 90},
            "stereoWidth and preset are of two different forms; keep to one.",
        ),
        ({"preset": ["warm"]}, "preset is a list; it must be a name."),
        ({"preset": {}}, "preset is a table; it must be a name."),
        ({"integrated_lufs": -8}, "integrated_lufs is -8; it must be a number from -20 to -10."),
        (
            {"match_strength_percent": 101},
            "match_strength_percent is 101; it must be a number from 0 to 100.",
        ),
        ({"stages": []}, "stages is a list; it must be an object with the stages' names."),
        (
            {"stages": {"equalizer": {}}},
            "stages.equalizer is no stage: did you mean 'equaliser'?",
        ),
        (
            {"stages": {"equaliser": {"presense_db": 2}}},
            "stages.equaliser.presense_db does not exist: did you mean 'presence_db'?",
        ),
        (
            {"stages": {"equaliser": {"presence_db": 9}}},
            "stages.equaliser.presence_db is 9; it must be a number from -6 to 6.",
        ),
        (
            {"stages": {"equaliser": {"presence_db": None}}},
            "stages.equaliser.presence_db is null; it must be a number from -6 to 6.",
        ),
        (
            {"stages": {"equaliser": {"presence_db": float("nan")}}},
            "stages.equaliser.presence_db is nan; it must be a number from -6 to 6.",
        ),
        (
            {"stages": {"equaliser": {"presence_db": float("inf")}}},
            "stages.equaliser.presence_db is inf; it must be a number from -6 to 6.",
        ),
        (
            {"stages": {"equaliser": {"presence_db": 10**400}}},
            "stages.equaliser.presence_db is a number of many digits; it must be a ",
        ),
        (
            {"stages": {"equaliser": 2}},
            "stages.equaliser is 2; it must be a table of its parameters, true or false.",
        ),
        ({"stages": {"reference_match": {}}}, "stages.reference_match is no stage; there is "),
        ({"reference": 5}, "reference is 5; it must be a name."),
    ],
    ids=str,
)
def test_a_refusal_names_key_value_and_range(asked: dict[str, Any], says: str) -> None:
    assert refusal(json.dumps(asked)).startswith(f"mastering.{says}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "mastering is not valid JSON (line 1, column 2: "),
        ('{"preset": "warm"} and more', "mastering is not valid JSON (line 1, column 20: "),
        ("[]", "mastering is a JSON list; it must be a preset's name or an object."),
        ('{"preset": "warm", "preset": "bright"}', "mastering.preset is there twice."),
        ('{"stages": {"glow": {}, "glow": true}}', "mastering.glow is there twice."),
        ('{"stages": ' + "[" * 8_000 + "]" * 8_000 + "}", "mastering is nested too deeply."),
        ('{"integrated_lufs": -' + "1" * 5_000 + "}", "mastering has a number of too many digits."),
        ("x" * 1_000_000, "mastering is longer than the 16384 bytes that it may have."),
        ("é" * 9_000, "mastering is longer than the 16384 bytes that it may have."),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_wish_at_all(text: str, says: str) -> None:
    assert refusal(text).startswith(says)


def test_the_message_fits_the_row_whatever_is_in_it() -> None:
    for hostile in ("\u202ekey", "\ud800", "a\nb\0", "k" * 16_000, "/etc/passwd"):
        wishes: list[dict[str, Any]] = [
            {hostile: 1},
            {"stages": {hostile: {}}},
            {"stages": {"glow": {hostile: 1}}},
        ]
        for asked in wishes:
            with pytest.raises(MasteringRejected) as raised:
                read_wish(json.dumps(asked))
            told = sentence(raised.value)
            assert told.startswith("mastering.")
            assert told.isprintable()
            assert len(told) < 500


def test_the_row_keeps_as_much_as_a_wish_may_have() -> None:
    assert MAX_WISH == MAX_BYTES


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
ours = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("preset", "reference", "match_strength_percent"), json_values),
        "stages": st.dictionaries(
            st.sampled_from(["equaliser", "multiband", "width", "nothing"]),
            st.booleans()
            | st.dictionaries(
                st.sampled_from(["presence_db", "compression_ratio", "width_percent", "x"]),
                json_values,
                max_size=3,
            ),
            max_size=4,
        ),
    },
)
simple = st.dictionaries(
    st.sampled_from(["targetLoudness", "compressionRatio", "eqProfile", "stereoWidth", "other"]),
    json_values,
    max_size=4,
)


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_any_text_is_a_wish_or_refused(text: str) -> None:
    _read_or_refused(text)


@given(json_values | ours | simple)
def test_any_json_is_a_wish_or_refused(value: Any) -> None:
    _read_or_refused(json.dumps(value))


@given(st.text(alphabet='{}[]":,0123456789.eE-+ntrufalsWNI\\', max_size=60))
def test_anything_like_json_is_a_wish_or_refused(text: str) -> None:
    _read_or_refused(text)


def _read_or_refused(text: str) -> None:
    try:
        wish = read_wish(text)
    except MasteringRejected as error:
        assert str(error).startswith("mastering")
        assert len(str(error)) < 500
    else:
        assert isinstance(wish, Wish)
