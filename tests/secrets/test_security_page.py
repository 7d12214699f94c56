"""SECURITY.md against the tree: every test that it names is there, every claim names one."""

from __future__ import annotations

import ast
import re

import pytest

from tests.secrets.page import PAGE, ROOT, allowed_actions, blocks, statements, table

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
CLAIMS = table("Who can do what")


def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: f"{claim[0]}: {claim[1]}"[:60])
def test_a_claim_is_held_by_tests_that_exist(claim: list[str]) -> None:
    who, what, stopped_by, shown_by = claim
    assert who and what and stopped_by
    named = NAMED.findall(shown_by)
    assert named, "no test shows it"
    assert NAMED.sub("", shown_by).strip(" ,|") == "", "and nothing but tests"
    for file, test in named:
        assert test in functions_of(file), f"{file} has no {test}"


def test_every_test_that_is_named_anywhere_exists() -> None:
    text = PAGE.read_text()
    assert len(CLAIMS) >= 18
    for file, test in NAMED.findall(text):
        assert test in functions_of(file), f"{file} has no {test}"


def test_the_rights_are_those_that_the_tests_grant() -> None:
    assert len(blocks("sql")) == 4
    for product in ("PostgreSQL", "MySQL and MariaDB"):
        for user in ("audio_owner", "audio_worker"):
            assert statements(f"{product}: {user}")
    deployment = (ROOT / "docs" / "deploy.md").read_text()
    for action in allowed_actions():
        assert action in deployment


def test_every_setting_that_is_named_exists() -> None:
    from audio_processor.settings.keys import keys

    named = set(re.findall(r"`((?:database|storage|worker|limits|scratch)\.\w+)", PAGE.read_text()))
    assert named and named <= set(keys())
