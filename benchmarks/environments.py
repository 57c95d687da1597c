"""What a Python image costs beside the default environment. What switching costs everybody else is `switching`.

The image is this machine's own interpreter in a root of its own, so that nothing but the environment differs.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks import baselines, targets
from benchmarks.cluster import cluster
from benchmarks.load import Program, closed_loop
from benchmarks.roots import make_root
from benchmarks.samples import pooled, summarise
from benchmarks.targets import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.samples import Run

DEFAULT = Program(code=baselines.TRIVIAL, stdout=baselines.EXPECTED)
IN_IMAGE = Program(code=baselines.TRIVIAL, stdout=baselines.EXPECTED, environment="image")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything; counts are per round."""

    rounds: int
    evals: int


FULL = Plan(rounds=5, evals=200)
QUICK = Plan(rounds=2, evals=100)


@dataclass
class Environments:
    """Everything that was found about them."""

    default: list[Run] = field(default_factory=list)
    image: list[Run] = field(default_factory=list)

    def series(self) -> Mapping[str, Sequence[Run]]:
        return {"default beside an image": self.default, "image": self.image}


def measure(plan: Plan, *, say: Callable[[str], None]) -> Environments:
    """Take turns, then switch under load. Raises ClusterFailed, OSError."""
    found = Environments()
    with tempfile.TemporaryDirectory(prefix="evalpool-bench-") as folder:
        Path(folder).chmod(0o755)
        root = make_root(Path(folder, "root"))
        file = Path(folder, "environments.toml")
        file.write_text(f'[image]\ndirectory = "{root}"\n')
        with cluster(EVAL_ENVIRONMENTS_FILE=str(file)) as running:
            for number in range(1, plan.rounds + 1):
                say(f"environments, round {number} of {plan.rounds}")
                for program, runs in ((DEFAULT, found.default), (IN_IMAGE, found.image)):
                    # Who is asked for a while gets more warm cells.
                    for count in (30, plan.evals):
                        loop = closed_loop(running.endpoint, program, concurrency=1, requests=count)
                        run = uvloop.run(loop)
                    runs.append(run)
    return found


def figures_of(found: Environments) -> list[Figure]:
    """The judged ones first."""
    default, image = summarise(pooled(found.default)), summarise(pooled(found.image))
    return [
        Figure(name=targets.IMAGE, value=image.p50_s * 1000, unit="ms", baseline=default.p50_s * 1000),
        # Evals without a pause ask for more than the share of warm cells that each of two environments has.
        Figure(name="evals in an image by warm cells", value=image.warm * 100, unit="%"),
        Figure(name="evals in the default environment by warm cells", value=default.warm * 100, unit="%"),
    ]
