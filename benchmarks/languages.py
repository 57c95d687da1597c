"""What programs of other languages cost: an eval over HTTP beside the bare command, spawned with no wall at all.

Both sides write the program's file first. A language whose toolchain is not here is left out.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks import baselines
from benchmarks.cluster import cluster
from benchmarks.load import Program, closed_loop
from benchmarks.samples import Run, pooled, summarise
from benchmarks.targets import Figure, of_language
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CODES = {
    "bash": "echo 2",
    "node": "console.log(2)",
    "c": '#include <stdio.h>\nint main(void) { puts("2"); return 0; }',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything; counts are per round."""

    rounds: int
    spawns: int
    evals: int


FULL = Plan(rounds=3, spawns=60, evals=100)
QUICK = Plan(rounds=1, spawns=30, evals=50)


@dataclass
class Languages:
    """Everything that was found about them: runs by language."""

    bare: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    evals: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))

    def series(self) -> Mapping[str, Sequence[Run]]:
        return {f"{name} bare": runs for name, runs in self.bare.items()} | {
            f"{name} eval": runs for name, runs in self.evals.items()
        }


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
                    found.bare[name].append(baselines.spawn(commands[name], count=plan.spawns))
                    program = Program(code=CODES[name], stdout=baselines.EXPECTED, environment=name)
                    # Who is asked for a while gets more warm cells.
                    for count in (10, plan.evals):
                        loop = closed_loop(running.endpoint, program, concurrency=1, requests=count)
                        run = uvloop.run(loop)
                    found.evals[name].append(run)
    return found


def figures_of(found: Languages) -> list[Figure]:
    """A line for each language."""
    return [
        Figure(
            name=of_language(name),
            value=summarise(pooled(runs)).p50_s * 1000,
            unit="ms",
            baseline=summarise(pooled(found.bare[name])).p50_s * 1000,
        )
        for name, runs in found.evals.items()
    ]


def _bare(folder: Path, name: str) -> list[str]:
    """Command that runs the program of a language here, compiled if it has to be."""
    preset = PRESETS[name]
    (folder / preset.filename).write_text(CODES[name])
    if preset.compile:
        subprocess.run(preset.compile, cwd=folder, check=True)
        return [str(folder / preset.binary)]
    return [shutil.which(preset.command[0]) or preset.command[0], str(folder / preset.filename)]
