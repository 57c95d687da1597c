"""Reads the documentation: its tables, code blocks and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

_HEADING = re.compile(r"#+ ")
_CODE = re.compile(r"`([^`]+)`")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    cells: tuple[str, ...]

    def code(self, column: int) -> list[str]:
        """What stands between backticks in a column."""
        return _CODE.findall(self.cells[column])


def section(document: Path, title: str) -> str:
    """Text from the heading `title` to the next heading of any level."""
    lines = iter(document.read_text().splitlines())
    for line in lines:
        if _HEADING.match(line) and line.lstrip("# ") == title:
            return "\n".join(_until_heading(lines))
    raise LookupError(f"{document.name} has no section {title!r}")


def _until_heading(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if _HEADING.match(line):
            return
        yield line


def rows(text: str) -> list[Row]:
    """Rows of every table in a text, without heads."""
    found: list[Row] = []
    for line in text.splitlines():
        if line.startswith("|---"):
            found.pop()
        elif line.startswith("|"):
            found.append(Row(tuple(cell.strip() for cell in line.strip("|").split(" | "))))
    return found


def blocks(document: Path, language: str) -> list[str]:
    """Code blocks in one language."""
    return [text for kind, text in _BLOCK.findall(document.read_text()) if kind == language]


def links(document: Path) -> list[str]:
    """Targets of links within the repository."""
    return [target for target in _LINK.findall(document.read_text()) if "://" not in target]


def anchors(document: Path) -> set[str]:
    """What `#...` may point to in a document."""
    titles = [line.lstrip("# ") for line in document.read_text().splitlines() if _HEADING.match(line)]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
