"""The example file and the key table say what the models say, key for key."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest

from audio_processor.settings import Settings, load_settings
from audio_processor.settings.keys import Key, keys, tier_keys
from audio_processor.settings.reference import describe, example_toml, reference_markdown

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
DOCUMENT = ROOT / "docs" / "configuration.md"
MARK = "UPDATE_GOLDENS=1 pytest tests/settings -->\n\n"


def test_the_example_file_is_up_to_date() -> None:
    if os.environ.get("UPDATE_GOLDENS") == "1":
        EXAMPLE.write_text(example_toml(), encoding="utf-8")
    assert EXAMPLE.read_text(encoding="utf-8") == example_toml()


def test_the_documentation_is_up_to_date() -> None:
    prose = DOCUMENT.read_text(encoding="utf-8").partition(MARK)[0]
    if os.environ.get("UPDATE_GOLDENS") == "1":
        DOCUMENT.write_text(prose + MARK + reference_markdown(), encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == prose + MARK + reference_markdown()


def test_the_example_as_it_stands_is_the_defaults() -> None:
    assert load_settings(EXAMPLE, environ={}) == Settings()


def test_the_example_with_every_comment_taken_off_has_exactly_the_models_keys() -> None:
    text = re.sub(r"^#(?! )", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(_leaves(tomllib.loads(text), "")) == set(keys())


def test_the_tables_that_the_example_shows_are_accepted(tmp_path: Path) -> None:
    shown = EXAMPLE.read_text(encoding="utf-8").partition("\n[mastering]\n")[2]
    shown = "[mastering]\n" + shown.partition("\n\n")[0]
    path = tmp_path / "config.toml"
    path.write_text(re.sub(r"^#(?! )", "", shown, flags=re.MULTILINE), encoding="utf-8")
    mastering = load_settings(path, environ={}).mastering
    assert mastering.reference in mastering.profiles
    assert mastering.presets


def test_the_documentation_lists_each_key() -> None:
    listed = re.findall(
        r"^\| `([\w.\[\]]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted([*keys(), *(key.name for key in tier_keys())])


@pytest.mark.parametrize("key", [*keys().values(), *tier_keys()], ids=lambda key: key.name)
def test_each_key_is_explained_in_a_sentence(key: Key) -> None:
    about = key.field.description or ""
    assert about.endswith(".")
    assert len(about) > 10


def test_a_description_shows_every_value_its_origin_and_no_secret() -> None:
    settings = Settings.model_validate(
        {
            "database": {
                "type": "mysql", "host": "db", "user": "u", "name": "n", "password": "hunter2",
            }
        }
    )  # fmt: skip
    lines = describe(settings, {"database.host": "config.toml"}).splitlines()
    assert len(lines) == len(keys())
    assert 'database.host = "db"  # from config.toml' in lines
    assert 'database.password = "**********"' in lines
    assert "hunter2" not in "".join(lines)


def _leaves(table: dict[str, object], head: str) -> list[str]:
    found = []
    for name, value in table.items():
        if isinstance(value, dict) and f"{head}{name}" not in keys():
            found += _leaves(value, f"{head}{name}.")
        else:
            found.append(f"{head}{name}")
    return found
