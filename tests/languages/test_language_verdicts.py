"""Verdicts and limits are those of Python programs, whatever the language."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Ending, Limits, NotSupported, RunReport, RunSpec, ending_of

if TYPE_CHECKING:
    from toolchains import Language

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session")]
QUICK = Limits(wall_s=0.5, memory_bytes=64 << 20)
ROOMY = Limits(memory_bytes=256 << 20)
EAT_C = "#include <stdlib.h>\n#include <string.h>\nint main(void) { for (;;) memset(malloc(1 << 20), 1, 1 << 20); }"
ENDINGS = [
    ("bash", "while :; do :; done", QUICK, Ending.WALL_TIME),
    ("bash", "sleep 60 & wait", QUICK, Ending.WALL_TIME),
    ("bash", "a=x; while :; do a=$a$a; done", Limits(memory_bytes=64 << 20), Ending.MEMORY),
    ("bash", "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done", ROOMY, Ending.OUTPUT),
    ("bash", "kill -KILL $$", ROOMY, Ending.SIGNALLED),
    ("bash", "exit 3", ROOMY, Ending.FAILED),
    ("node", "for (;;);", Limits(wall_s=1.0), Ending.WALL_TIME),
    ("node", "const kept = []; for (;;) kept.push(new Array(1e5).fill(1));", ROOMY, Ending.MEMORY),
    ("node", "const kept = []; for (;;) kept.push(Buffer.alloc(1 << 22, 1));", ROOMY, Ending.MEMORY),
    ("node", "for (;;) require('fs').writeSync(1, 'a'.repeat(1000));", ROOMY, Ending.OUTPUT),
    ("c", "int main(void) { for (;;); }", QUICK, Ending.WALL_TIME),
    ("c", EAT_C, Limits(memory_bytes=64 << 20), Ending.MEMORY),
    ("c", '#include <stdio.h>\nint main(void) { for (;;) puts("aaaaaaaa"); }', ROOMY, Ending.OUTPUT),
    ("c", "#include <stdlib.h>\nint main(void) { abort(); }", ROOMY, Ending.SIGNALLED),
]


async def run(language: Language, name: str, code: str, **spec: Any) -> RunReport:
    return await (await language(name)).run(RunSpec(code=code, **spec))


@pytest.mark.parametrize(("name", "code", "limits", "ending"), ENDINGS, ids=[f"{e[0]}-{e[3]}" for e in ENDINGS])
async def test_a_program_ends_as(name: str, code: str, limits: Limits, ending: Ending, language: Language) -> None:
    report = await run(language, name, code, limits=limits)

    assert ending_of(report) is ending, report
    assert (await run(language, name, "exit 0" if name == "bash" else "", limits=ROOMY)).timed_out is False


async def test_a_fork_bomb_stops_at_the_bound_of_processes(language: Language) -> None:
    report = await run(language, "bash", "bomb() { bomb | bomb & }; bomb; sleep 60", limits=QUICK)
    after = await run(language, "bash", "echo fine")

    assert ending_of(report) in {Ending.WALL_TIME, Ending.FAILED, Ending.OUTPUT}
    assert after.stdout == b"fine\n"


async def test_what_a_program_leaves_running_dies_with_it(language: Language) -> None:
    report = await run(language, "bash", "setsid sleep 300 >/dev/null 2>&1 < /dev/null & disown; echo done")

    assert (ending_of(report), report.stdout) == (Ending.OK, b"done\n")


async def test_arguments_variables_files_and_outputs(language: Language) -> None:
    code = 'echo "$1" $MINE $(cat in/a) > out.txt; ls'
    report = await run(
        language, "bash", code, args=("a b",), env={"MINE": "x"}, files={"in/a": b"given"}, outputs=("*.txt",)
    )

    assert (report.stdout, report.files) == (b"in\nmain.sh\nout.txt\n", {"out.txt": b"a b x given\n"})


async def test_output_comes_while_the_program_runs(language: Language) -> None:
    sandbox, heard = await language("node"), asyncio.get_running_loop().create_future()
    code = "console.log('first'); setTimeout(() => console.log('second'), 30000);"
    running = asyncio.create_task(sandbox.run(RunSpec(code=code), lambda _, chunk: heard.set_result(chunk)))

    assert await asyncio.wait_for(heard, 10) == b"first\n"
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})


async def test_strace_works(language: Language) -> None:
    report = await run(language, "bash", "echo mine; exit 3", strace=True)

    assert (report.exit_code, report.stdout) == (3, b"mine\n")
    assert b'write(1, "mine\\n", 5)' in report.stderr


@pytest.mark.parametrize("wanted", [{"interpreter_mode": True}, {"figures": True}])
async def test_what_is_for_python_is_refused(wanted: dict[str, bool], language: Language) -> None:
    with pytest.raises(NotSupported, match="is for Python"):
        await run(language, "bash", "echo", **wanted)
