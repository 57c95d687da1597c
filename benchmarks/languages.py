"""What programs of other languages cost: in the sandbox, over HTTP, and as a bare command with no wall at all.

The bare command is spawned as a server would: by `asyncio.create_subprocess_exec`, in a folder, with pipes for stdout
and stderr, its file written before. (asyncio's own loop: uvloop's spawn takes twice as long.) `subprocess.run`, which
blocks its caller and reads one pipe, is told beside it. What is judged comes one program after the other with the same
pause for all, in which a cell gets warm and caches get cold. Evals without a pause are told beside, against commands
spawned without one: there the cell that gets warm for the next is in the way of this one. A language whose toolchain is
not here is left out.

The target is the sandbox alone beside the bare command: what runs a program beside what runs a program. Over HTTP there
is besides, for every language alike, what API and queue take; that is measured alone, at the same pace (ADR 0031).
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import uvloop

from benchmarks import baselines
from benchmarks.cluster import cluster, environment_root
from benchmarks.load import Program, closed_loop, evenly, open_loop
from benchmarks.samples import Run, Sample, pooled, summarise
from benchmarks.targets import Figure, language_alone, of_language
from sandbox import RunSpec, Sandbox, SandboxConfig
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.load import Endpoint

UNRUN = Program(code="exit 1", stdout=None)
"""Ok only where nothing runs it."""
CODES = {
    "bash": "echo 2",
    "node": "console.log(2)",
    "c": '#include <stdio.h>\nint main(void) { puts("2"); return 0; }',
}
_PAUSE_S = 0.05
"""Longer than any cell takes to get warm here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything; counts are per round."""

    rounds: int
    spawns: int
    evals: int
    compiles: int


FULL = Plan(rounds=3, spawns=60, evals=100, compiles=10)
QUICK = Plan(rounds=1, spawns=30, evals=50, compiles=5)


@dataclass
class Languages:
    """Everything that was found about them: runs by language."""

    bare: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    """Spawned as a server would."""
    hurried: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    """Likewise, without a pause."""
    blocking: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    """Spawned by `subprocess.run`."""
    alone: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    """In the sandbox, without API and queue."""
    compiled: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    """Likewise, each time another source, of languages that are compiled."""
    evals: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    """Over HTTP."""
    hurried_evals: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    """Likewise, without a pause."""
    service: list[Run] = field(default_factory=list)
    """API and queue alone."""

    def series(self) -> Mapping[str, Sequence[Run]]:
        kinds = ("bare", "hurried", "blocking", "alone", "compiled", "evals", "hurried_evals")
        languages = {f"{name} {kind}": runs for kind in kinds for name, runs in getattr(self, kind).items()}
        return {**languages, "API and queue alone": self.service}


def measure(plan: Plan, *, say: Callable[[str], None]) -> Languages:
    """Take turns. Raises ClusterFailed, OSError."""
    found = Languages()
    here = [name for name in CODES if shutil.which((PRESETS[name].compile or PRESETS[name].command)[0])]
    with tempfile.TemporaryDirectory(prefix="evalpool-bench-") as folder:
        file = Path(folder, "environments.toml")
        file.write_text("".join(f'[{name}]\npreset = "{name}"\n' for name in here))
        commands = {name: _bare(Path(folder), name) for name in here}
        with cluster(EVAL_ENVIRONMENTS_FILE=str(file)) as running:
            for number in range(1, plan.rounds + 1):
                for name in here:
                    say(f"languages, round {number} of {plan.rounds}: {name}")
                    found.blocking[name].append(baselines.spawn(commands[name], count=plan.spawns))
                    for runs, pause_s in ((found.bare, _PAUSE_S), (found.hurried, 0)):
                        spawned = _spawned(commands[name], Path(folder), name, plan.spawns, pause_s)
                        runs[name].append(asyncio.run(spawned))
                    alone, compiled = uvloop.run(_alone(Path(folder, f"{name}-{number}"), name, plan))
                    found.alone[name].append(alone)
                    if compiled.samples:
                        found.compiled[name].append(compiled)
                    program = Program(code=CODES[name], stdout=baselines.EXPECTED, environment=name)
                    # The first of them also warm up: who is asked for a while gets more warm cells.
                    hurried = closed_loop(running.endpoint, program, concurrency=1, requests=plan.evals)
                    found.hurried_evals[name].append(uvloop.run(hurried))
                    found.evals[name].append(_paced(running.endpoint, program, plan.evals))
    say("languages: API and queue alone")
    with cluster(EVAL_SANDBOX="noop") as running:
        found.service = [_paced(running.endpoint, UNRUN, plan.evals) for _ in range(plan.rounds)]
    return found


def figures_of(found: Languages) -> list[Figure]:
    """Some lines for each language, the judged ones first."""
    bare = {name: _p50_ms(runs) for name, runs in found.bare.items()}

    def figure(name: str, runs: Sequence[Run], language: str) -> Figure:
        return Figure(name=name, value=_p50_ms(runs), unit="ms", baseline=bare[language])

    figures = [figure(language_alone(name), runs, name) for name, runs in found.alone.items()]
    figures += [figure(of_language(name), runs, name) for name, runs in found.evals.items()]
    figures.append(Figure(name="API and queue alone at that pace, p50", value=_p50_ms(found.service), unit="ms"))
    for name, runs in found.hurried_evals.items():
        hurried = _p50_ms(found.hurried[name])
        label = f"{name} eval without a pause p50, vs bare likewise"
        figures.append(Figure(name=label, value=_p50_ms(runs), unit="ms", baseline=hurried))
    for name, runs in found.blocking.items():
        figures.append(figure(f"{name} by subprocess.run p50, vs bare {name}", runs, name))
    figures += [
        Figure(name=f"{name} compiled anew and run, sandbox alone p50", value=_p50_ms(runs), unit="ms")
        for name, runs in found.compiled.items()
    ]
    return figures


def _p50_ms(runs: Sequence[Run]) -> float:
    return summarise(pooled(runs)).p50_s * 1000


def _paced(endpoint: Endpoint, program: Program, count: int) -> Run:
    offsets_s = evenly(rate=1 / _PAUSE_S, duration_s=count * _PAUSE_S)
    return uvloop.run(open_loop(endpoint, program, offsets_s=offsets_s))


async def _spawned(command: Sequence[str], folder: Path, name: str, count: int, pause_s: float) -> Run:
    """Write the program's file, spawn its command, read what it prints."""
    file, begun = folder / PRESETS[name].filename, perf_counter()
    pipe, samples = asyncio.subprocess.PIPE, []
    for _ in range(count):
        await asyncio.sleep(pause_s)
        start = perf_counter()
        file.write_text(CODES[name])
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env={}, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
        stdout, _ = await process.communicate()
        good = stdout == baselines.EXPECTED.encode()
        samples.append(Sample(perf_counter() - start, process.returncode or 0, "ok" if good else "error"))
    return Run(samples=samples, elapsed_s=perf_counter() - begun)


async def _alone(folder: Path, name: str, plan: Plan) -> tuple[Run, Run]:
    """One program many times; and so many that nobody has seen, where they are compiled."""
    environment = replace(PRESETS[name], packages=environment_root())
    async with Sandbox(environment, SandboxConfig(run_dir=folder, slots=4)) as sandbox:
        await _run(sandbox, [CODES[name]] * 10)
        again = await _run(sandbox, [CODES[name]] * plan.evals)
        new = [f"{CODES[name]}\n// {number}\n" for number in range(plan.compiles if environment.compile else 0)]
        return again, await _run(sandbox, new)


async def _run(sandbox: Sandbox, codes: Sequence[str]) -> Run:
    samples, begun = [], perf_counter()
    for code in codes:
        await asyncio.sleep(_PAUSE_S)
        start = perf_counter()
        report = await sandbox.run(RunSpec(code=code))
        good = report.stdout == baselines.EXPECTED.encode()
        samples.append(Sample(perf_counter() - start, 0, "ok" if good else "error", report.warm))
    return Run(samples=samples, elapsed_s=perf_counter() - begun)


def _bare(folder: Path, name: str) -> list[str]:
    """Command that runs the program of a language here, compiled if it has to be."""
    preset = PRESETS[name]
    (folder / preset.filename).write_text(CODES[name])
    if preset.compile:
        subprocess.run(preset.compile, cwd=folder, check=True)
        return [str(folder / preset.binary)]
    return [shutil.which(preset.command[0]) or preset.command[0], str(folder / preset.filename)]
