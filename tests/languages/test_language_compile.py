"""The compile step: told apart from the run, cached by content, out of reach of programs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Ending, Limits, NotSupported, RunReport, RunSpec, Sandbox, SandboxConfig, ending_of
from sandbox.host.compiled import Built, Compiled, key_of
from sandbox.presets import PRESETS
from sandbox.spec import CompileReport

if TYPE_CHECKING:
    from pathlib import Path

    from toolchains import Language

HELLO = '#include <stdio.h>\nint main(int c, char **v) {{ puts("{}"); return c - 1; }}'


async def run(language: Language, code: str, **spec: Any) -> RunReport:
    return await (await language("c")).run(RunSpec(code=code, **spec))


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_an_error_of_the_compiler_is_an_error_and_nothing_runs(language: Language) -> None:
    report = await run(language, "int main(void) { return x; }", outputs=("*",))

    assert (ending_of(report), report.exit_code, report.stdout, report.stderr) == (Ending.FAILED, 1, b"", b"")
    assert report.compile is not None
    assert (report.compile.exit_code, report.compile.cached) == (1, False)
    assert b"main.c:1:25: error:" in report.compile.stderr
    assert (report.files, report.compile.wall_s > 0) == ({}, True)


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_a_warning_is_told_beside_the_run_and_kept_with_it(language: Language) -> None:
    code = "int main(void) { undeclared(); }\nint undeclared(void) { return 0; }"
    reports = [await run(language, code) for _ in range(2)]

    for report, cached in zip(reports, (False, True), strict=True):
        assert (ending_of(report), report.stderr) == (Ending.OK, b"")
        assert report.compile is not None
        assert (report.compile.exit_code, report.compile.cached) == (0, cached)
        assert b"implicit declaration" in report.compile.stderr


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_the_same_source_is_compiled_once_however_many_ask_at_once(language: Language) -> None:
    code = HELLO.format("once")
    reports = await asyncio.gather(*(run(language, code, args=("a",) * n) for n in range(6)))

    assert [report.exit_code for report in reports] == list(range(6))
    assert {report.stdout for report in reports} == {b"once\n"}
    assert sorted(report.compile.cached for report in reports if report.compile) == [False, *[True] * 5]


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_another_header_is_another_program(language: Language) -> None:
    code = '#include "a.h"\nint main(void) { return A; }'
    codes = [(await run(language, code, files={"a.h": b"#define A %d" % n})).exit_code for n in (1, 2, 1)]

    assert codes == [1, 2, 1]


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_a_compiler_that_is_abused_meets_the_same_limits(language: Language) -> None:
    endless = '#include "/dev/zero"\nint main(void) { return 0; }'
    slow = await run(language, "#include __FILE__\n", limits=Limits(compile_s=0.3))
    eaten = await run(language, endless, limits=Limits(compile_s=5.0))
    huge = "char a[1 << 28] = {1}; int main(void) { return 0; }"

    assert ending_of(slow) in {Ending.FAILED, Ending.WALL_TIME}
    assert ending_of(eaten) in {Ending.MEMORY, Ending.WALL_TIME, Ending.FAILED}
    assert eaten.compile is not None
    assert ending_of(await run(language, huge)) is Ending.FAILED  # no file of a cell is that large


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_a_compiler_reads_nothing_that_a_program_could_not(language: Language) -> None:
    report = await run(language, 'asm(".incbin \\"/proc/1/environ\\"");\nint main(void) { return 0; }')

    assert ending_of(report) is Ending.FAILED


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_no_file_may_stand_where_the_program_will(language: Language) -> None:
    for name in ("main", "main.c", "main/a", "main.c/a"):
        with pytest.raises(NotSupported, match="is the program itself"):
            await run(language, HELLO.format(1), files={name: b""})


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_a_program_cannot_change_what_another_is_compiled_to(language: Language) -> None:
    """It has the run of its own cell, and finds there nothing but its own program, which is its copy."""
    code = (
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) {\n"
        '  FILE *file = fopen("main.new", "w"); fputs("#!/bin/sh\\necho poisoned\\n", file); fclose(file);\n'
        '  rename("main.new", "main"); return system("chmod +x main; ./main; ls /work /tmp"); }'
    )
    first, again = await run(language, code), await run(language, code)

    assert first.stdout == again.stdout == b"poisoned\n/tmp:\n\n/work:\nmain\nmain.c\n"
    assert (await run(language, HELLO.format("mine"))).stdout == b"mine\n"


def built(size: int) -> Built:
    return Built(binary=b"x" * size, report=CompileReport(exit_code=0, signal=None))


def test_the_cache_is_bounded_in_bytes_and_drops_what_is_least_used() -> None:
    kept = Compiled(400)
    for number in range(4):
        kept.keep(bytes([number]), built(100))
    assert kept.get(b"\0") is not None
    kept.keep(b"more", built(100))
    kept.keep(b"too large", built(101))

    assert kept.size_bytes == 400
    assert [key for key in (b"\0", b"\1", b"\2", b"\3", b"more", b"too large") if kept.get(key)] == [
        b"\0", b"\2", b"\3", b"more",
    ]  # fmt: skip


def test_what_is_kept_is_not_replaced() -> None:
    kept = Compiled(400)
    kept.keep(b"key", built(1))
    kept.keep(b"key", built(2))

    found = kept.get(b"key")
    assert found is not None
    assert (found.binary, found.report.cached) == (b"x", True)


def test_no_two_lists_of_parts_have_the_same_key() -> None:
    lists = [[b"a", b"b"], [b"ab"], [b"ab", b""], [b"", b"ab"], [b"a", b"", b"b"], [b"b", b"a"], []]

    assert len({key_of(parts) for parts in lists}) == len(lists)


HOSTILE_SOURCES = {
    "templates that double": "template <int D, long P> struct A"
    "{ enum { v = A<D - 1, 2 * P>::v + A<D - 1, 2 * P + 1>::v }; };"
    "template <long P> struct A<0, P> { enum { v = 1 }; }; int a = A<24, 1>::v;",
    "macros that double": "#define A(x) x x\n#define B(x) A(A(A(A(A(A(A(A(x))))))))\nint a[] = {B(B(B(1,)))};",
    "more warnings than anybody reads": '#pragma GCC warning "a"\n' * 5000 + '#error "end"\n',
    "its own memory": '#include "/proc/self/environ"\n#include "/proc/self/maps"\n',
    "the machine": '#include "/etc/shadow"\n#include "/proc/1/environ"\n',
}


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("source", HOSTILE_SOURCES.values(), ids=HOSTILE_SOURCES)
async def test_a_hostile_source_ends_within_the_limits_of_the_step(source: str, language: Language) -> None:
    sandbox = await language("cpp")
    report = await sandbox.run(RunSpec(code=source, limits=Limits(compile_s=1.5)))

    assert ending_of(report) in {Ending.FAILED, Ending.WALL_TIME, Ending.MEMORY, Ending.OUTPUT}, report
    assert report.compile is not None
    assert len(report.compile.stderr) <= 256 << 10
    assert b"root:" not in report.compile.stderr
    assert b"EVAL_" not in report.compile.stderr


@pytest.mark.jail
@pytest.mark.asyncio(loop_scope="session")
async def test_what_a_step_leaves_is_a_file_of_its_own_never_a_link(
    language: Language, environment_root: Path, tmp_path: Path
) -> None:
    """A step that a submitted script can bend leaves a link instead: nothing behind it is read, nothing is cached."""
    await language("c")  # its toolchain is not needed, the same privileges are
    environment = replace(
        PRESETS["c"], packages=environment_root, filename="main.sh", compile=("sh", "main.sh"), binary="main", trial=""
    )
    async with Sandbox(environment, SandboxConfig(run_dir=tmp_path / "run", slots=1)) as sandbox:
        for target in ("/etc/passwd", "/proc/self/environ", "main.sh", "/dev/zero"):
            with pytest.raises(NotSupported, match="left no file main"):
                await sandbox.run(RunSpec(code=f"ln -s {target} main"))
        with pytest.raises(NotSupported, match="left no file main"):
            await sandbox.run(RunSpec(code="mkfifo main"))
        mine = "printf '#!/bin/sh\\necho mine\\n' > main"
        first, again = [await sandbox.run(RunSpec(code=mine)) for _ in range(2)]

    assert (first.stdout, again.stdout) == (b"mine\n", b"mine\n")
