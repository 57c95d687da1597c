"""`interpreter_mode`: bare expressions are echoed as the Python prompt does; all else is as under `python3 main.py`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from sandbox.spec import RunReport, RunSpec

if TYPE_CHECKING:
    from sandbox import Sandbox

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session")]

WARM: dict[str, str] = {}
COLD = {"PYTHONDONTWRITEBYTECODE": "1"}
"""A variable that only a starting interpreter reads: the program gets one of its own."""

ECHOES = {
    "1 + 1\n'a'\nNone\n[1]": "2\n'a'\n[1]\n",
    "'said'\nx = 3\nx": "'said'\n3\n",
    "6 * 7\n_ + 1\n_": "42\n43\n43\n",
    "for i in range(3):\n    i * i\nif True:\n    'then'": "0\n1\n4\n'then'\n",
    "def f():\n    'never'\n    1\n    return 2\nf()": "2\n",
    "print('printed')\nprint": "printed\n<built-in function print>\n",
    "import sys\nsys.displayhook = lambda value: print('shown', value)\n5\nNone": "shown 5\nshown None\n",
    "from __future__ import annotations\nx: undefined = 1\n__annotations__": "{'x': 'undefined'}\n",
    "import sys\n__name__, sys.argv, __file__": "('__main__', ['main.py', 'a b'], '/work/main.py')\n",
    "import submitted\nsubmitted.NAME": "'submitted'\n",
    "import atexit\nvoid = atexit.register(print, 'bye')\n1": "1\nbye\n",
    "": "",
}


async def echo(sandbox: Sandbox, code: str, env: dict[str, str]) -> RunReport:
    files = {"submitted.py": b"'not echoed'\nNAME = 'submitted'\n"}
    return await sandbox.run(RunSpec(code=code, args=("a b",), files=files, env=env, interpreter_mode=True))


@pytest.mark.parametrize("env", [WARM, COLD], ids=["warm", "cold"])
@pytest.mark.parametrize("code", ECHOES)
async def test_expressions_are_echoed(code: str, env: dict[str, str], sandbox: Sandbox) -> None:
    report = await echo(sandbox, code, env)
    assert (report.stdout.decode(), report.stderr.decode(), report.exit_code) == (ECHOES[code], "", 0)


@pytest.mark.parametrize("env", [WARM, COLD], ids=["warm", "cold"])
async def test_an_error_ends_the_program_and_shows_its_source(env: dict[str, str], sandbox: Sandbox) -> None:
    report = await echo(sandbox, "1\n1 / 0\n2", env)
    assert report.stderr.decode() == (
        'Traceback (most recent call last):\n  File "/work/main.py", line 2, in <module>\n'
        "    1 / 0\n    ~~^~~\nZeroDivisionError: division by zero\n"
    )
    assert (report.stdout, report.exit_code) == (b"1\n", 1)


@pytest.mark.parametrize("env", [WARM, COLD], ids=["warm", "cold"])
async def test_a_syntax_error_anywhere_runs_nothing(env: dict[str, str], sandbox: Sandbox) -> None:
    report = await echo(sandbox, "1\n2 +\n", env)
    assert report.stderr.decode() == '  File "/work/main.py", line 2\n    2 +\n       ^\nSyntaxError: invalid syntax\n'
    assert (report.stdout, report.exit_code) == (b"", 1)


@pytest.mark.parametrize("env", [WARM, COLD], ids=["warm", "cold"])
async def test_an_exit_code_is_the_programs(env: dict[str, str], sandbox: Sandbox) -> None:
    assert (await echo(sandbox, "1\nraise SystemExit(3)", env)).exit_code == 3


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed here")
async def test_traced_programs_echo_too(sandbox: Sandbox) -> None:
    report = await sandbox.run(RunSpec(code="6 * 7", interpreter_mode=True, strace=True))
    assert report.stdout == b"42\n"
    assert b"execve(" in report.stderr
