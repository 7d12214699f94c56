"""The pages against the program: what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from audio_processor import cli
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, prose, table_rows

COMMANDS = DOCS / "commands.md"
ARCHITECTURE = DOCS / "ARCHITECTURE.md"
CODE = ("audio_processor", "uploads_queue", "migrations")


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of the page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


# ── commands ─────────────────────────────────────────────────────────────────────────────


def commands() -> set[str]:
    return set(typer.main.get_group(cli.app).commands)


def test_the_command_table_names_exactly_the_commands() -> None:
    named = [re.match(r"`([a-z-]+)", row[0]) for row in table_rows(COMMANDS.read_text())]
    assert sorted(m[1] for m in named if m) == sorted(commands())


def test_every_exit_code_in_the_table_is_one_of_the_programs() -> None:
    rows = [row for row in table_rows(COMMANDS.read_text()) if row[0].startswith("`")]
    told = {code for row in rows for code in map(int, row[-1].split(", "))}
    assert told == {int(code) for code in cli.Exit}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_page_names_a_command_that_does_not_exist(page: Path) -> None:
    named = re.findall(r"(?<!-n )audio-processor ([a-z][a-z-]+)", page.read_text())
    assert set(named) <= commands()


def test_every_command_but_those_without_settings_takes_a_configuration() -> None:
    """As the page says."""
    page = COMMANDS.read_text()
    for name, command in typer.main.get_group(cli.app).commands.items():
        inner = getattr(command, "commands", {"": command})
        options = {o for one in inner.values() for p in one.params for o in p.opts}
        assert "--config" in options or f"`{name}`" in page.split("All but ")[1].split("take")[0]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"`make ([a-z -]+?)[`A-Z]", page.read_text())
        assert {target for words in named for target in words.split()} <= targets, page.name


def test_every_make_target_but_files_is_phony() -> None:
    """Or a file of that name, such as the folder docs/, would be all that there is to make."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    targets = set(re.findall(r"^([\w./-]+):(?!=)", makefile, re.MULTILINE))
    [phony] = re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    files = {target for target in targets if target.startswith(".venv/")}
    assert files
    assert set(phony.split()) == targets - files - {".PHONY"}


# ── links and paths ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_relative_link_resolves(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}"


def test_decisions_are_numbered_once_and_say_their_status() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [page.name[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)
    for page in pages:
        text = page.read_text()
        assert re.search(r"^Status: (accepted|proposed|superseded)", text, re.MULTILINE), page.name
        assert {"Context", "Decision", "Price"} <= set(re.findall(r"^## (\w+)", text, re.MULTILINE))


def test_the_codemap_names_every_module_and_nothing_else() -> None:
    named = {
        match[1]
        for row in table_rows(ARCHITECTURE.read_text())
        if (match := re.fullmatch(r"`([\w/]+\.py)`", row[0]))
    }
    # the codemap writes modules of the package without its name
    there = {str(path.relative_to(ROOT)) for part in CODE for path in (ROOT / part).rglob("*.py")}
    there |= {"database_manager.py"}
    assert named == {path.removeprefix("audio_processor/") for path in there}


def test_every_file_that_a_decision_names_exists() -> None:
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        for name in re.findall(r"`([\w/]+/[\w.]+\.(?:py|md|json))`", page.read_text()):
            assert (ROOT / name).exists() or (ROOT / "audio_processor" / name).exists(), (
                f"{page.name} names {name}"
            )


def test_every_runtime_dependency_is_explained() -> None:
    explained = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text().lower()
    table = " ".join(row[0] for row in table_rows(explained))
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert [name for name in pinned if name.lower() not in table] == []


def test_every_page_is_in_the_site() -> None:
    """``make docs`` fails where not; this says it sooner."""
    nav = (ROOT / "mkdocs.yml").read_text().split("\nnav:\n")[1]
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.glob("*.md")}
    assert pages <= set(re.findall(r"[\w./-]+\.md", nav))


def test_every_page_is_linked_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(([^)#\s]+)", prose(ROOT / "README.md")))
    pages = {
        page.relative_to(ROOT).as_posix() for page in PAGES if page.parent != DOCS / "decisions"
    }
    assert pages - linked == {"README.md"}


def test_a_comment_before_a_block_is_one_that_tests_understand() -> None:
    for language in ("sh", "text", "python"):
        for block in blocks(language):
            assert block.word is not None or not block.said, block
