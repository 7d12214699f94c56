"""MkDocs' hook: the pages at the root belong to the site, and links between both hold in it.

On GitHub, README.md and docs/ refer to one another and to files of the source by relative links.
Here pages at the root become pages of the site, and any other file that a page links to (a
configuration example, a manifest) is put beside them as it is. The decisions, one file each, get
an index.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
AT_ROOT = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
DECISIONS = ROOT / "docs" / "decisions"
SOURCES = "source"
"""Where files that are no pages lie in the site, under their path in the repository."""
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(|(?:src|srcset|href)=\")([^)\s\"]+)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages at the root, and what pages link to outside of docs/."""
    for name, page in AT_ROOT.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    files.append(File.generated(config, "decisions/index.md", content=_index()))
    for file in list(files.documentation_pages()):
        text = _FENCE.sub("", file.content_string)
        for _, target in _LINK.findall(text):
            there = _there(file.src_uri, target)
            if there is None or _page_of(there) is not None:
                continue
            if there.is_file() and files.get_file_from_path(_beside(there)) is None:
                files.append(File.generated(config, _beside(there), content=there.read_bytes()))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Have every relative link lead to where its file is in the site."""
    here: str = page.file.src_uri
    parts = re.split(f"({_FENCE.pattern})", markdown, flags=_FENCE.flags)
    return "".join(
        part if part.startswith("```") else _LINK.sub(lambda m: _led(here, m), part)
        for part in parts
    )


def _led(here: str, link: re.Match[str]) -> str:
    target, hash_, anchor = link[2].partition("#")
    there = _there(here, target) if target else None
    if there is None:
        return link[0]
    leads_to = _page_of(there) or _beside(there)
    relative = posixpath.relpath(leads_to, posixpath.dirname(here) or ".")
    return f"{link[1]}{relative}{hash_}{anchor}"


def _decisions() -> list[Path]:
    return sorted(DECISIONS.glob("[0-9]*.md"))


def _index() -> str:
    titles = [(page, page.read_text().partition("\n")[0].lstrip("# ")) for page in _decisions()]
    lines = [f"- [{page.name[:4]}]({page.name}) {title}" for page, title in titles]
    return "\n".join(["# Decisions", "", "Why it is as it is: a page a choice.", "", *lines, ""])


def _there(here: str, target: str) -> Path | None:
    """The file in the repository that a page of the site links to; None for an address."""
    path = target.partition("#")[0]
    if not path or "://" in path or path.startswith("mailto:"):
        return None
    at_root = {page: name for name, page in AT_ROOT.items()}
    origin = ROOT / at_root[here] if here in at_root else ROOT / "docs" / here
    return (origin.parent / path).resolve()


def _page_of(there: Path) -> str | None:
    """What the file is called in the site, where it belongs there by itself."""
    if there.parent == ROOT and there.name in AT_ROOT:
        return AT_ROOT[there.name]
    if there == DECISIONS:
        return "decisions/index.md"
    if there.is_relative_to(ROOT / "docs"):
        return str(there.relative_to(ROOT / "docs"))
    return None


def _beside(there: Path) -> str:
    return posixpath.join(SOURCES, str(there.relative_to(ROOT)))
