"""What a Python image costs beside the default environment, and what its switching costs everybody else.

The image is this machine's own interpreter in a root of its own, so that nothing but the environment differs.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks import baselines, targets
from benchmarks.cluster import cluster
from benchmarks.load import Program, closed_loop, evenly, open_loop
from benchmarks.roots import PACKAGE, make_root
from benchmarks.samples import Run, pooled, summarise
from benchmarks.targets import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.load import Endpoint

DEFAULT = Program(code=baselines.TRIVIAL, stdout=baselines.EXPECTED)
IN_IMAGE = Program(code=baselines.TRIVIAL, stdout=baselines.EXPECTED, environment="image")
ANYHOW = Program(code=f"import {PACKAGE}; print(2)", stdout="2\n", environment="image")
RATE_PER_S = 20
SWITCH_EVERY_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything; counts are per round."""

    rounds: int
    evals: int
    switching_s: float


FULL = Plan(rounds=5, evals=200, switching_s=20)
QUICK = Plan(rounds=2, evals=100, switching_s=7)


@dataclass
class Environments:
    """Everything that was found about them."""

    default: list[Run] = field(default_factory=list)
    image: list[Run] = field(default_factory=list)
    others: Run | None = None
    """The default environment while the image is switched."""
    switched: Run | None = None
    """The one that is switched."""
    switches: int = 0

    def series(self) -> Mapping[str, Sequence[Run]]:
        found: dict[str, Sequence[Run]] = {"default beside an image": self.default, "image": self.image}
        if self.others and self.switched:
            found |= {"default under a switch": [self.others], "image under a switch": [self.switched]}
        return found


def measure(plan: Plan, *, say: Callable[[str], None]) -> Environments:
    """Take turns, then switch under load. Raises ClusterFailed, OSError."""
    found = Environments()
    with tempfile.TemporaryDirectory(prefix="evalpool-bench-") as folder:
        Path(folder).chmod(0o755)
        roots = [make_root(Path(folder, name), package=f"VALUE = {name!r}\n") for name in ("one", "two")]
        file = Path(folder, "environments.toml")
        _write(file, roots[0])
        with cluster(EVAL_ENVIRONMENTS_FILE=str(file)) as running:
            for number in range(1, plan.rounds + 1):
                say(f"environments, round {number} of {plan.rounds}")
                for program, runs in ((DEFAULT, found.default), (IN_IMAGE, found.image)):
                    # Who is asked for a while gets more warm cells.
                    for count in (30, plan.evals):
                        loop = closed_loop(running.endpoint, program, concurrency=1, requests=count)
                        run = uvloop.run(loop)
                    runs.append(run)
            say(f"switching an image under load, {plan.switching_s:g} s")
            uvloop.run(_switch(found, running.endpoint, file, roots, plan.switching_s))
    return found


async def _switch(
    found: Environments, endpoint: Endpoint, file: Path, roots: Sequence[Path], duration_s: float
) -> None:
    offsets_s = evenly(rate=RATE_PER_S, duration_s=duration_s)
    others = asyncio.create_task(open_loop(endpoint, DEFAULT, offsets_s=offsets_s))
    switched = asyncio.create_task(open_loop(endpoint, ANYHOW, offsets_s=offsets_s))
    while not others.done():
        await asyncio.wait([others], timeout=SWITCH_EVERY_S)
        found.switches += 1
        _write(file, roots[found.switches % len(roots)])
    found.others, found.switched = await others, await switched


def _write(file: Path, root: Path) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(f'[image]\ndirectory = "{root}"\n')
    partial.replace(file)


def figures_of(found: Environments) -> list[Figure]:
    """The judged ones first."""
    default, image = summarise(pooled(found.default)), summarise(pooled(found.image))
    figures = [
        Figure(name=targets.IMAGE, value=image.p50_s * 1000, unit="ms", baseline=default.p50_s * 1000),
        Figure(name="evals in an image by warm cells", value=image.warm * 100, unit="%"),
    ]
    if found.others and found.switched:
        others, switched = summarise(found.others), summarise(found.switched)
        figures += [
            Figure(name=targets.SWITCH_P99, value=others.p99_s * 1000, unit="ms"),
            Figure(name=targets.SWITCH_FAILURES, value=others.errors + switched.errors, unit=""),
            Figure(name="evals in an image that is switched, p99", value=switched.p99_s * 1000, unit="ms"),
            Figure(name="switches of an image under load", value=found.switches, unit=""),
        ]
    return figures
