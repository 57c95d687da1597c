"""What each wall costs per run: the sandbox alone, with all of them, and with each one down in turn.

Walls have no switch. Here their lines are taken out of the copy of the guest's code that goes into the jail, so that
nothing an operator may set takes one down. Only cgroups can be left out by `SandboxConfig`: not every machine has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING
from unittest import mock

import uvloop

from benchmarks.baselines import TRIVIAL
from benchmarks.cluster import environment_root
from benchmarks.samples import Run, Sample, pooled, summarise
from benchmarks.targets import Figure
from sandbox import RunSpec, Sandbox, SandboxConfig, default_environment
from sandbox.host import rootfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ALL = "all walls"
CGROUP = "cgroup"
LINES = {
    "seccomp": r"linux\.load_seccomp\(.*\)",
    "/proc of its own": r'linux\.mount\("proc", .*\)',
    "uid of its own": r"os\.(set(groups|resgid|resuid)|chown)\(.*\)",
    "capabilities dropped": r"linux\.drop_capabilities\(\)",
    "network namespace": r"linux\.setns\(seat\.network, .*\)",
    "rlimits": r"_limit\(walls\.rlimits\)",
}
"""Whole lines of `guest/cell.py` that are a wall."""
CONCURRENCY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much: in each round every variant runs so many programs."""

    rounds: int
    runs: int


FULL = Plan(rounds=5, runs=400)
QUICK = Plan(rounds=1, runs=120)


@dataclass(frozen=True, slots=True)
class Walls:
    """Runs by the wall that was down; `ALL` where none was."""

    found: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))

    def series(self) -> dict[str, Sequence[Run]]:
        return {f"without {name}": runs for name, runs in self.found.items()}


def measure(plan: Plan, *, say: Callable[[str], None]) -> Walls:
    """All variants in turn, round after round. Raises SandboxError, OSError."""
    walls = Walls()
    for number in range(1, plan.rounds + 1):
        say(f"round {number} of {plan.rounds}: the sandbox without each wall")
        for name in (ALL, CGROUP, *LINES):
            walls.found[name].append(uvloop.run(_variant(name, plan.runs)))
    return walls


def figures_of(walls: Walls) -> Iterator[Figure]:
    """Runs per second without each wall, against all of them: 1.1 means that it takes a tenth of a run."""
    rates = {name: summarise(pooled(runs)).rate for name, runs in walls.found.items()}
    yield Figure(name=f"sandbox alone, {CONCURRENCY} at a time", value=rates[ALL], unit="/s")
    for name, rate in rates.items():
        if name != ALL:
            yield Figure(name=f"without {name}", value=rate, unit="/s", baseline=rates[ALL])


async def _variant(name: str, runs: int) -> Run:
    environment = default_environment(environment_root())
    environment = replace(environment, tiers=environment.tiers[:1])
    with tempfile.TemporaryDirectory(prefix="evalpool-bench-") as folder, _without(LINES.get(name)):
        config = SandboxConfig(run_dir=Path(folder, "run"), slots=CONCURRENCY, cgroups=name != CGROUP)
        async with Sandbox(environment, config) as sandbox:
            await _closed_loop(sandbox, runs // 4)
            return await _closed_loop(sandbox, runs)


async def _closed_loop(sandbox: Sandbox, runs: int) -> Run:
    samples: list[Sample] = []
    spec = RunSpec(code=TRIVIAL)

    async def caller() -> None:
        while len(samples) < runs:
            start = perf_counter()
            report = await sandbox.run(spec)
            samples.append(Sample(perf_counter() - start, 0, "ok" if report.stdout == b"2\n" else "error", report.warm))

    start = perf_counter()
    await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
    return Run(samples=samples, elapsed_s=perf_counter() - start)


@contextlib.contextmanager
def _without(line: str | None) -> Iterator[None]:
    """Jails that are made meanwhile get a guest without these lines of `cell.py`."""
    copy = rootfs._copy_guest  # noqa: SLF001  there is no other way in, on purpose

    def copied(target: Path) -> None:
        copy(target)
        if line is not None:
            cell = target / "sandbox/guest/cell.py"
            cell.write_text(without(cell.read_text(), line))

    with mock.patch.object(rootfs, "_copy_guest", copied):
        yield


def without(source: str, line: str) -> str:
    """`source` with `pass` for every whole line that matches. Raises ValueError if none does."""
    changed, count = re.subn(rf"(?m)^( +){line}$", r"\1pass", source)
    if not count:
        raise ValueError(f"no line of the guest is {line}")
    return changed
