"""The pages as tests read them: their fenced blocks, each with what its page says of running it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

_FENCE = re.compile(
    r"^(?:<!-- (?P<word>[a-z ]+): (?P<said>[^>]*) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
WORDS = {"with", "until", "not run", "printed by"}
"""What a comment before a block may begin with."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    page: Path
    number: int
    """Among the blocks of its language on its page, from 1."""
    language: str
    text: str
    word: str | None
    """Of the comment above it: ``with`` files, ``until`` something, ``not run`` for a reason."""
    said: str

    def __str__(self) -> str:
        return f"{self.page.name}-{self.language}-{self.number}"

    @property
    def commands(self) -> list[str]:
        """The lines as a shell would take them: joined where continued, without comments."""
        joined = self.text.replace("\\\n", " ")
        lines = (line.strip() for line in joined.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def blocks(language: str, *pages: Path) -> list[Block]:
    """The blocks of a language on these pages, else on all."""
    found = []
    for page in pages or PAGES:
        matches = [m for m in _FENCE.finditer(page.read_text()) if m["language"] == language]
        for number, match in enumerate(matches, 1):
            word = match["word"] if match["word"] in WORDS else None
            found.append(
                Block(page, number, language, match["text"], word, (match["said"] or "").strip())
            )
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks, where brackets are no links."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def table_rows(text: str) -> list[list[str]]:
    """The cells of every table row, dividing lines included."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def section(page: Path, heading: str) -> str:
    """What stands below a heading of the second level."""
    return page.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
