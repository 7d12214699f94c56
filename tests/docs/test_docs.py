"""The pages against the program: what they name is there, what they show works."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main

from audio_processor import cli
from audio_processor.demo import render_demo
from audio_processor.errors import ConfigError
from audio_processor.settings import load_settings

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "ARCHITECTURE.md"
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")],
)
CODE = ("audio_processor", "uploads_queue", "migrations")
MAKE_TARGET = re.compile(r"^make ([a-z-]+)", re.MULTILINE)
FENCE = re.compile(
    r"^(?:<!-- runs(?P<runs>:[^>]*)? -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(page: Path, language: str) -> list[re.Match[str]]:
    found = [m for m in FENCE.finditer(page.read_text()) if m["language"] == language]
    assert found, f"{page.name} has no {language} block any more"
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks, where brackets are no links."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def anchors(page: Path) -> set[str]:
    """GitHub's anchors of the page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


# ── commands ─────────────────────────────────────────────────────────────────────────────


def commands() -> set[str]:
    return set(typer.main.get_group(cli.app).commands)


def test_the_command_table_names_exactly_the_commands() -> None:
    section = README.read_text().split("\n## Commands\n")[1].split("\n## ")[0]
    named = [re.match(r"`([a-z-]+)", row[0]) for row in table_rows(section)]
    assert sorted(m[1] for m in named if m) == sorted(commands())


def test_every_exit_code_in_the_table_is_one_of_the_programs() -> None:
    section = README.read_text().split("\n## Commands\n")[1].split("\n## ")[0]
    rows = [row for row in table_rows(section) if row[0].startswith("`")]
    told = {code for row in rows for code in map(int, row[-1].split(", "))}
    assert told == {int(code) for code in cli.Exit}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_page_names_a_command_that_does_not_exist(page: Path) -> None:
    named = re.findall(r"audio-processor ([a-z][a-z-]+)", page.read_text())
    assert set(named) <= commands()


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = MAKE_TARGET.findall(page.read_text())
        named += re.findall(r"`make ([a-z -]+?)[`A-Z]", page.read_text())
        assert {target for words in named for target in words.split()} <= targets, page.name


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


# ── examples ─────────────────────────────────────────────────────────────────────────────


def test_the_configuration_example_is_accepted(tmp_path: Path) -> None:
    for block in blocks(README, "toml"):
        secret = tmp_path / "db-password"
        secret.write_text("secret\n")
        text = block["text"].replace("/run/secrets/db-password", str(secret))
        assert tomllib.loads(text)
        config = tmp_path / "audio-processor.toml"
        config.write_text(text)
        settings = load_settings(config, environ={})
        assert settings.storage.bucket == "my-bucket"
        config.write_text(text.replace("bucket =", "buket ="))
        with pytest.raises(ConfigError, match=r"storage\.bucket"):
            load_settings(config, environ={})


def test_what_is_quoted_of_refused_configurations_is_what_is_said() -> None:
    provoked: list[tuple[Path | None, dict[str, str]]] = [
        (None, {"AUDIO_PROCESSOR__STORAGE__BUKET": "x"}),
        (None, {"AUDIO_PROCESSOR__STORAGE__KIND": "s3"}),
        (Path("nope.toml"), {}),
    ]
    said: list[str] = []
    for config, environ in provoked:
        with pytest.raises(ConfigError) as refusal:
            load_settings(config, environ=environ)
        said.append(str(refusal.value))
    quoted = [block["text"].splitlines() for block in blocks(README, "text")]
    assert said in quoted


def test_the_library_example_is_made_of_what_there_is() -> None:
    """Its statements up to the first that needs a server, then the names used after it."""
    from audio_processor import AudioProcessor

    [block] = blocks(README, "python")
    tree = ast.parse(block["text"])
    harmless = [node for node in tree.body if not isinstance(node, ast.With)]
    scope: dict[str, object] = {}
    exec(compile(ast.Module(harmless, []), "README.md", "exec"), scope)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "processor"
    }
    assert used
    assert [name for name in used if not hasattr(AudioProcessor, name)] == []
    openings = [node.items[0].context_expr for node in tree.body if isinstance(node, ast.With)]
    for call in openings:  # connects to nothing
        opened = eval(compile(ast.Expression(call), "README.md", "eval"), scope)
        assert isinstance(opened, AudioProcessor)
        assert opened.settings.storage.bucket == "my-bucket"
        opened.close()


def test_the_policy_example_grants_three_permissions() -> None:
    [policy] = (json.loads(block["text"]) for block in blocks(README, "json"))
    [statement] = policy["Statement"]
    assert statement["Action"] == ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("music") / "music.wav"
    render_demo(target, duration_s=12.0)
    return target


def runnable() -> list[re.Match[str]]:
    marked = [m for m in blocks(README, "sh") if m[0].startswith("<!-- runs")]
    assert len(marked) >= 3
    return marked


@pytest.mark.parametrize("block", runnable(), ids=lambda m: shlex.split(m["text"])[1])
def test_shell_example_works(block: re.Match[str], music: Path, tmp_path: Path) -> None:
    for name in filter(None, (block["runs"] or "").lstrip(":").replace(" ", "").split(",")):
        shutil.copy(music, tmp_path / name)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AUDIO_PROCESSOR", "AWS_"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block["text"]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
