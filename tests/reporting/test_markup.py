"""Text stays text, whatever is in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_processor.reporting.markup import Markup, element, group, number, plain, stylesheet
from tests.reporting.html import read_page

any_text = st.text(st.characters(codec="utf-8"))
markup_like = st.one_of(any_text, st.text("<>&\"'=/ !-abscript;#x0", max_size=30))


@given(markup_like, markup_like)
def test_text_and_attributes_come_back_as_they_went_in(text: str, title: str) -> None:
    [made] = read_page(element("p", text, title=title)).all()
    assert made.attributes == {"title": plain(title)}
    assert made.text == plain(text)
    assert made.all() == []


@given(markup_like)
def test_groups_and_lists_escape_too(text: str) -> None:
    root = read_page(element("div", group(text, element("b", [text, [text]])), None))
    assert [e.name for e in root.all()] == ["div", "b"]
    assert root.text == plain(text) * 3


def test_what_cannot_be_seen_or_turns_text_around_is_shown_as_such() -> None:
    assert plain("a\u202eb\x00c\ud800d\u2066e") == "a\ufffdb\ufffdc\ufffdd\ufffde"
    assert plain("שלום é 👩\u200d🎤\n") == "שלום é 👩\u200d🎤\n"


def test_only_elements_are_markup() -> None:
    assert element("p", Markup("<b></b>")) == "<p><b></b></p>"
    assert element("p", "<b></b>") == "<p>&lt;b&gt;&lt;/b&gt;</p>"


def test_attributes_that_say_nothing_are_left_out() -> None:
    made = element("g", class_="x", stroke_width=1.50, hidden=True, id=None, role=False)
    assert made == '<g class="x" stroke-width="1.5" hidden=""></g>'


def test_a_style_sheet_cannot_close_itself() -> None:
    with pytest.raises(ValueError, match="no use"):
        stylesheet("p {} </style>")


@given(st.floats(-1e6, 1e6))
def test_numbers_are_short_and_right(value: float) -> None:
    text = number(value)
    assert float(text) == pytest.approx(value, abs=0.0051)
    assert "e" not in text and text != "-0" and not text.endswith(".")
