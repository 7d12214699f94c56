"""SECURITY.md as tests read it: its statements are run, its tables are held to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "SECURITY.md"


def blocks(language: str) -> list[str]:
    """The fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def statements(title: str) -> list[str]:
    """The SQL of the block whose first line is ``-- title``, a statement each."""
    [block] = [text for text in blocks("sql") if text.startswith(f"-- {title}")]
    lines = [line for line in block.splitlines() if not line.startswith("--")]
    return [one.strip() for one in "\n".join(lines).split(";") if one.strip()]


def allowed_actions() -> set[str]:
    """What the policy for S3 grants."""
    [policy] = (json.loads(text) for text in blocks("json"))
    granted: list[dict[str, Any]] = policy["Statement"]
    assert all(statement["Effect"] == "Allow" for statement in granted)
    return {action for statement in granted for action in statement["Action"]}


def table(heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without its own two lines."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]
