"""A program that is run many times is compiled once, and none of its runs can tell."""

from __future__ import annotations

import asyncio

import pytest

from sandbox import Bytecode, Limits, RunReport, RunSpec, Sandbox

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]
FILLER = "".join(f"def f{n}(a):\n    return [a * {n}, 'text {n}']\n" for n in range(200))


async def runs(sandbox: Sandbox, code: str, count: int = 3, **fields: object) -> tuple[Bytecode, list[RunReport]]:
    bytecode = Bytecode(len(code))
    specs = [RunSpec(code=code, bytecode=bytecode, stdin=f"{n}\n".encode(), **fields) for n in range(count)]
    reports = list(await asyncio.gather(*map(sandbox.run, specs)))
    reports.append(await sandbox.run(specs[-1]))
    return bytecode, reports


async def test_later_runs_get_what_the_first_compiled(sandbox: Sandbox) -> None:
    bytecode, reports = await runs(sandbox, FILLER + "print(f7(int(input())), __file__, __name__)\n", 5)

    assert bytecode.data
    assert [report.stdout.decode() for report in reports] == [
        f"[{n * 7}, 'text 7'] /work/main.py __main__\n" for n in (*range(5), 4)
    ]


@pytest.mark.parametrize(
    ("name", "tail", "shared"),
    [
        ("traceback", "def g():\n    return f1(1) + 1 / 0\n\ng()\n", True),
        ("syntax error", "print('not reached')\ndef g(:\n", False),
        ("indentation", "if True:\nprint(1)\n", False),
        ("warning", "print('a' is 'a', '\\d')\n", False),
        ("source", "import inspect, linecache\nprint(inspect.getsource(f3), len(open(__file__).read()))\n", True),
        ("pickle", "import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))))\n", True),
        ("future", "", True),
        ("exit", "import sys\nsys.exit('said')\n", True),
        ("unicode", "print('\u00e4\U0001f600', f'{f2(1)!r:>20}')\n", True),
        ("surrogate", "print(ascii('\\ud800'))\n", True),
        ("constants", "print({1, 2, 3} == frozenset((1, 2, 3)), 1 in {1, 2}, 1e300j, b'x', ..., 1 << 200)\n", True),
    ],
)
async def test_no_run_can_tell(sandbox: Sandbox, name: str, tail: str, *, shared: bool) -> None:
    head = "from __future__ import annotations\n" if name == "future" else ""
    code = head + FILLER + tail
    plain = await sandbox.run(RunSpec(code=code))
    bytecode, reports = await runs(sandbox, code)

    for report in reports:
        assert (report.exit_code, report.stdout, report.stderr) == (plain.exit_code, plain.stdout, plain.stderr)
    assert (bytecode.data is not None) == shared


async def test_a_real_interpreter_and_a_cell_that_dies_compiling_share_nothing(sandbox: Sandbox) -> None:
    bytecode, reports = await runs(sandbox, FILLER + "print(1)\n", env={"PYTHONHASHSEED": "1"})
    assert (bytecode.data, {report.stdout for report in reports}) == (None, {b"1\n"})

    code = "x = " + "+".join(["1.5"] * 200_000) + "\n"
    bytecode, reports = await runs(sandbox, code, 2, limits=Limits(wall_s=0.05))
    assert all(report.timed_out or report.exit_code for report in reports)
    assert bytecode.data is None


async def test_a_cancelled_maker_leaves_it_to_the_next(sandbox: Sandbox) -> None:
    code = FILLER * 30 + "print(1)\n"
    bytecode = Bytecode(len(code))
    first, second = (asyncio.create_task(sandbox.run(RunSpec(code=code, bytecode=bytecode))) for _ in range(2))
    await asyncio.sleep(0.02)
    first.cancel()

    assert (await second).stdout == b"1\n"
    assert bytecode.data


async def test_it_is_of_one_sandbox_only(sandbox: Sandbox) -> None:
    """Another may have another interpreter, which would not understand it."""
    code = FILLER + "print(1)\n"
    bytecode = Bytecode(len(code))
    assert bytecode.is_of(object())

    assert (await sandbox.run(RunSpec(code=code, bytecode=bytecode))).stdout == b"1\n"
    assert bytecode.data is None


async def test_what_is_too_long_may_come_in_pieces() -> None:
    """The second piece once was taken for what must not be said, and killed the program."""
    bytecode = Bytecode(10)
    turn = await bytecode.turn()

    assert [turn.take(piece) for piece in (b"C" + bytes(100), bytes(100), b"more")] == [True] * 3
    assert (await bytecode.turn()).mode == ""


async def test_more_than_a_program_can_need_is_not_kept(sandbox: Sandbox) -> None:
    code = "x = (" + "1.5, 2.5, " * 20_000 + ")\nprint(len(x))\n"
    bytecode = Bytecode(10)
    reports = [await sandbox.run(RunSpec(code=code, bytecode=bytecode)) for _ in range(2)]

    assert [report.stdout for report in reports] == [b"40000\n"] * 2
    assert bytecode.data is None


async def test_no_submitted_module_runs_while_the_host_listens(sandbox: Sandbox) -> None:
    """The compiler looks for the codec that a program names, and codecs import modules."""
    module = b"import os\nprint([name for name in os.listdir('/proc/self/fd') if int(name) > 3])\n"
    code = "# coding: idna\n" + FILLER + "print(1)\n"
    bytecode, reports = await runs(sandbox, code, 1, files={"stringprep.py": module})

    assert {report.stdout for report in reports} == {b"[]\n1\n"}
    assert bytecode.data is None
