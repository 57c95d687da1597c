"""The threat model and the hostile programs: neither without the other."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from documents import DOCS, ROOT, rows, section

if TYPE_CHECKING:
    from documents import Row

PAGE = DOCS / "threat-model.md"
ESCAPE = ROOT / "tests/escape"


def promises() -> list[Row]:
    return rows(section(PAGE, "What programs try"))


def test_every_row_names_hostile_programs_and_every_one_has_its_row() -> None:
    named = [name for row in promises() for name in row.code(3)]
    folders = {path.parent.name for path in ESCAPE.glob("*/expect.toml")}

    assert [row.cells[0] for row in promises() if not row.code(3)] == []
    assert sorted(named) == sorted(folders)


def test_every_row_says_threat_invariant_and_control() -> None:
    assert [row.cells for row in promises() if not all(cell.strip() for cell in row.cells) or len(row.cells) != 4] == []


def test_what_is_named_for_the_service_is_there() -> None:
    named = [name for row in rows(section(PAGE, "What callers, and who comes by, try")) for name in row.code(2)]

    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_promise_is_a_sentence() -> None:
    said = [tomllib.loads(path.read_text())["promise"] for path in ESCAPE.glob("*/expect.toml")]

    assert [promise for promise in said if not promise.endswith(".")] == []
