"""The few things that a program can tell from `python3 main.py`, each with its reason; a change must be seen here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from bare_python import Bare, run_bare

from sandbox.spec import RunSpec

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session")]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A program and what it prints on either side."""

    name: str
    reason: str
    code: str
    bare: str
    sandbox: str


DIFFERENCES = [
    Difference(
        name="faulthandler lists our frames",
        reason="It follows the interpreter's own chain of frames, where hidden ones stand too.",
        code="import faulthandler, re\nfile = open('trace', 'w+')\nfaulthandler.dump_traceback(file)\n"
        "file.seek(0)\nprint(*re.findall(r'in (.+)', file.read()))",
        bare="<module>\n",
        sandbox="<module> call <module>\n",
    ),
    Difference(
        name="modules are there before they are imported",
        reason="They are preloaded: that is what makes the sandbox fast.",
        code="import sys; print('json' in sys.modules)",
        bare="False\n",
        sandbox="True\n",
    ),
    Difference(
        name="a module that the program itself writes does not win over a preloaded one",
        reason="Submitted files are known before the program starts, others are not.",
        code="open('json.py', 'w').write('MINE = 1'); import json; print(hasattr(json, 'MINE'))",
        bare="True\n",
        sandbox="False\n",
    ),
    Difference(
        name="a trace function that stays in place sees threading and exit functions",
        reason="Preloaded modules have registered exit functions; without them there are none to see.",
        code="import sys\ndef see(frame, *_):\n    if frame.f_code.co_name == '_shutdown':\n        print('seen')\n"
        "sys.settrace(see)",
        bare="",
        sandbox="seen\n",
    ),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
async def test_difference_is_as_listed(difference: Difference, sandbox: Sandbox, bare: Bare, tmp_path: Path) -> None:
    spec = RunSpec(code=difference.code)
    assert (await run_bare(spec, tmp_path, bare)).stdout.decode() == difference.bare
    assert (await sandbox.run(spec)).stdout.decode() == difference.sandbox
