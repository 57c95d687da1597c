"""Links lead somewhere, commands exist, code runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from documents import DOCS, DOCUMENTS, ROOT, anchors, blocks, links

from evalctl.__main__ import app

if TYPE_CHECKING:
    from pathlib import Path

TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
COMMAND = re.compile(r"\bevalctl ([a-z]+)")
CODE = re.compile(r"`([^`\n]+)`|^    (.+)$", re.MULTILINE)
OF_A_MAKEFILE = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda document: document.relative_to(ROOT).as_posix()
)


def commands(document: Path) -> str:
    """What a reader may paste: code in the text and shell blocks."""
    inline = ["".join(match) for match in CODE.findall(document.read_text())]
    return "\n".join([*inline, *blocks(document, "sh")])


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document

        assert (link, target.exists()) == (link, True)
        assert not anchor or anchor in anchors(target)


@each_document
def test_commands_exist(document: Path) -> None:
    text = commands(document)
    known = {command.name for command in (*app.registered_commands, *app.registered_groups)}

    assert set(TARGET.findall(text)) <= set(OF_A_MAKEFILE.findall((ROOT / "Makefile").read_text()))
    assert set(COMMAND.findall(text)) <= known


@each_document
def test_python_compiles(document: Path) -> None:
    for number, block in enumerate(blocks(document, "python")):
        compile(block, f"{document.name}, block {number}", "exec")


@pytest.mark.jail
def test_the_sandbox_runs_alone_as_its_page_says(environment_root: Path, tmp_path: Path) -> None:
    environments = tmp_path / ".evalpool" / "environments"
    environments.mkdir(parents=True)
    (environments / "default-1").symlink_to(environment_root)
    [example] = blocks(DOCS / "sandbox.md", "python")
    answer = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (answer.stdout, answer.stderr, answer.returncode) == ("ok 0 HELLO\n\n", "", 0)
    assert not (tmp_path / ".evalpool" / "run" / "example").exists()
