"""A command that was started before its program was there: nobody can tell, and it is no way out."""

from __future__ import annotations

import asyncio
import difflib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from roots import small_root
from toolchains import started

from sandbox import Ending, JailFailed, Limits, RunReport, RunSpec, Sandbox, SandboxConfig, ending_of
from sandbox.preludes import PRELUDES
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from toolchains import Language

    Plain = Callable[[str], Awaitable[Sandbox]]

pytestmark = [pytest.mark.jail, pytest.mark.asyncio(loop_scope="session")]
TRACES = sorted((Path(__file__).parent / "traces").iterdir())
ESM = {"package.json": b'{"type": "module"}', "other.js": b"export default 7"}
SPECS = {
    "bash": [
        RunSpec(code='echo "$MINE" "$(env | sort)"', env={"MINE": "a 'b'\n\"c\" $d \\", "PATH": "/bin", "B_1": ""}),
        RunSpec(code="echo out; echo err >&2; echo /proc/$$/fd/*", merge_streams=True),
        RunSpec(code='echo "$# $1 ${BASH_ARGV[*]}"; tr "\\0" " " < /proc/$$/cmdline', args=("a b", "$c")),
        RunSpec(code="echo $LANG $TZ; date +%Z", env={"LANG": "C", "TZ": "Asia/Tokyo"}),
        RunSpec(code="f; echo $-", env={"BASH_FUNC_f%%": "() { echo mine; }", "SHELLOPTS": "errexit"}),
        RunSpec(code="set -e; false; echo never"),
        RunSpec(code="echo 'not closed"),
        RunSpec(code="trap 'echo bye' EXIT; exec 250>/tmp/x; echo a >&250; cat /tmp/x; return 7"),
        RunSpec(code="\0"),
        RunSpec(code=""),
    ],
    "node": [
        RunSpec(code="console.log(process.argv, process.env)", args=("a", "--b=c"), env={"MINE": "ü", "NODE_ENV": "x"}),
        RunSpec(code="console.log(process.argv, process.env)", args=("a", "", "\n"), env={"MINE": "ü", "a.b": "\\"}),
        RunSpec(code="console.log('out'); console.error('err')", merge_streams=True),
        RunSpec(code="import o from './other.js'; console.log(await o, import.meta.url, typeof require)", files=ESM),
        RunSpec(code="console.log(new Date(0).getHours())", env={"TZ": "Asia/Tokyo"}),
        RunSpec(code="let a = ;"),
        RunSpec(code="throw new TypeError('mine')"),
        RunSpec(code="process.stdin.on('data', d => console.log(String(d)))", stdin=b"given"),
        RunSpec(code="require('./none')"),
    ],
}
CASES = [(name, spec) for name, specs in SPECS.items() for spec in specs]
CASES += [(path.stem, RunSpec(code=path.read_text(), stdin=b"first\nsecond\n")) for path in TRACES]


def outcome(report: RunReport) -> tuple[Any, ...]:
    return report.exit_code, report.signal, report.stdout.decode(errors="backslashreplace"), report.stderr.decode()


@pytest.mark.parametrize(("name", "spec"), CASES, ids=[f"{name}-{spec.code[:30]!r}" for name, spec in CASES])
async def test_it_is_as_one_that_starts_with_its_program(
    name: str, spec: RunSpec, language: Language, plain: Plain
) -> None:
    warm, cold = await language(name), await plain(name)

    found, expected = outcome(await warm.run(spec)), outcome(await cold.run(spec))

    assert "\n".join(difflib.unified_diff(expected[2].splitlines(), found[2].splitlines(), n=0)) == ""
    assert found == expected


async def test_its_clocks_begin_with_the_program(language: Language) -> None:
    bash, node = await language("bash"), await language("node")
    await asyncio.sleep(2.1)
    shell = await bash.run(RunSpec(code='echo $SECONDS $(($(printf "%(%s)T" -1) - $(printf "%(%s)T" -2)))'))
    script = await node.run(RunSpec(code="console.log(performance.now() < 2000, process.uptime() < 2)"))

    # Whole seconds of two clocks, of which one is behind by a tick: a program of no time may see the next, or the last.
    assert {int(seconds) for seconds in shell.stdout.split()} <= {-1, 0, 1}
    assert script.stdout == b"true true\n"


async def test_two_cells_have_nothing_random_in_common(language: Language) -> None:
    said = [
        (await (await language(name)).run(RunSpec(code=code))).stdout
        for name, code in (("bash", "echo $RANDOM $RANDOM $RANDOM"), ("node", "console.log(Math.random())"))
        for _ in range(4)
    ]

    assert len(set(said)) == len(said)


async def test_its_start_is_not_the_programs_time(language: Language, plain: Plain) -> None:
    spec = RunSpec(code="console.log(2)")
    runs = [((await (await language("node")).run(spec)), await (await plain("node")).run(spec)) for _ in range(3)]

    assert min(warm.usage.cpu_s for warm, _ in runs) < min(cold.usage.cpu_s for _, cold in runs) / 2


async def test_a_program_whose_files_are_too_large_for_its_memory_ends_as_that(language: Language) -> None:
    spec = RunSpec(code="echo never", files={"large": bytes(24 << 20)}, limits=Limits(memory_bytes=8 << 20))
    report = await (await language("bash")).run(spec)

    assert (ending_of(report), report.stdout) == (Ending.MEMORY, b"")


async def test_what_ends_the_helper_ends_the_program_before_it_begins(language: Language) -> None:
    """A file that cannot be made: no program runs with half of them, and none is blamed."""
    heard: list[bytes] = []
    sandbox = await language("bash")
    with pytest.raises(JailFailed):
        await sandbox.run(RunSpec(code="echo never", files={"a": b"", "a/b": b""}), lambda _, text: heard.append(text))

    assert heard == []


async def test_a_limit_of_cpu_time_holds(language: Language) -> None:
    for name, code in (("bash", "ulimit -t 9 2> /dev/null && echo raised; while :; do :; done"), ("node", "for (;;);")):
        report = await (await language(name)).run(RunSpec(code=code, limits=Limits(cpu_s=1.0, wall_s=40.0)))

        assert (ending_of(report), report.stdout) == (Ending.CPU_TIME, b"")


async def test_no_more_wait_than_the_language_says(
    environment_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRELUDES, "bash", replace(PRELUDES["bash"], cells=1))
    environment = replace(PRESETS["bash"], packages=environment_root)
    async with Sandbox(environment, SandboxConfig(run_dir=tmp_path / "run", slots=3)) as sandbox:
        await started(sandbox, warm=3)

        assert [cell.ahead for cell in sandbox.pools["exec"]._warm].count(True) == 1


async def test_a_command_that_does_not_wait_is_executed_when_its_program_is_there(tmp_path: Path) -> None:
    """An image's bash that is none."""
    root = small_root(tmp_path / "root", "sh")
    shutil.copy2(root / "usr/bin/sh", root / "usr/bin/bash")
    environment = replace(PRESETS["bash"], image=root)
    tmp_path.chmod(0o755)
    async with Sandbox(environment, SandboxConfig(run_dir=tmp_path / "run", slots=1)) as sandbox:
        await sandbox.prove()
        report = await sandbox.run(RunSpec(code="echo $0 $1", args=("given",)))

    assert outcome(report) == (0, None, "main.sh given\n", "")


LOOKS = {
    "bash": {
        "/proc/self/environ": "tr '\\0' '\\n' < /proc/$$/environ",
        "the number of a child": "(echo $BASHPID)",
        "the program's own number": "echo $$ $PPID $BASHPID $BASH_SUBSHELL",
        "variables and their kinds": (  # whole seconds of the clock: 1.1 s are one or two of them
            "declare -p SECONDS BASHOPTS | tr 01 0; sleep 1.1; declare -p SECONDS | tr 12 1; ((SECONDS < 4)); echo $?"
        ),
        "PIPESTATUS": "echo ${PIPESTATUS-none}",
        "options": "set -o; shopt; echo $-; ulimit -a; umask; trap -p",
        "history": "history; set -o history; echo $HISTCMD $HISTFILE",
        "what runs": "echo $0 $LINENO $BASH_EXECUTION_STRING $BASH_COMMAND; caller; tr '\\0' ' ' < /proc/$$/cmdline",
        "a seed of its own": "RANDOM=7; echo $RANDOM $RANDOM",
        "descriptors": "echo /proc/$$/fd/*; exec {next}< /dev/null; echo $next",
        "a shell inside": "bash -c 'echo $SHLVL $- $0 $#'",
    },
    "node": {
        "performance.nodeTiming": "console.log(performance.nodeTiming.duration < 2000)",
        "clocks": "console.log(performance.now() < 2000, process.uptime() < 2, performance.now.name)",
        "/proc/self/cmdline": "console.log(require('fs').readFileSync('/proc/self/cmdline', 'utf8'))",
        "process.report": "console.log(process.report.getReport().header.commandLine)",
        "performance.now.toString()": "console.log(performance.now.toString())",
        "process.uptime.toString()": "console.log(require('util').types.isProxy(process.uptime))",
        "process.moduleLoadList": "console.log(process.moduleLoadList.length)",
        "arguments": "console.log(process.argv, process.argv0, process.execArgv, process.pid, process.ppid)",
        "modules": "console.log(require.main === module, module.paths, module.children, Object.keys(require.cache))",
        "built-in modules": "console.log(Object.keys(process.binding('natives')).length)",
        "properties": "console.log(Reflect.ownKeys(process).length, Reflect.ownKeys(performance))",
        "handles": "console.log(process.getActiveResourcesInfo(), process.eventNames())",
        "variables": "console.log(process.env, require('fs').readdirSync('/proc/self/fd').length)",
    },
}
DIFFERENCES = {
    "bash": {"/proc/self/environ", "the number of a child", "PIPESTATUS"},
    "node": {
        "/proc/self/cmdline", "process.report", "performance.now.toString()", "process.uptime.toString()",
        "performance.nodeTiming", "process.moduleLoadList",
    },
}  # fmt: skip
"""What docs/languages.md tells of; everything else above is equal."""
PAGE = (Path(__file__).parents[2] / "docs" / "languages.md").read_text()


@pytest.mark.parametrize("name", LOOKS)
async def test_what_differs_from_a_cold_start_is_what_the_page_says(
    name: str, language: Language, plain: Plain
) -> None:
    differing = set()
    await language(name)
    await asyncio.sleep(2.1)  # clocks that began too early show in the first two
    for look, code in LOOKS[name].items():
        found, expected = [outcome(await (await opened(name)).run(RunSpec(code=code))) for opened in (language, plain)]
        assert (found[0], expected[0]) == (0, 0), (look, found, expected)
        differing |= {look} if found != expected else set()

    assert differing == DIFFERENCES[name]
    assert [look for look in differing if f"`{look}`" not in PAGE and look not in PAGE] == []
