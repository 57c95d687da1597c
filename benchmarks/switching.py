"""What it costs everybody else when an environment is switched: to another image, to other packages, by the commands.

Each time there are two open loops: one asks for the environment that is switched, one for another. A pair of loops
before, with nothing switched, tells what the machine does by itself.
"""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks import baselines, layouts, targets
from benchmarks.cluster import ClusterFailed, cluster, environment_root
from benchmarks.load import Program, evenly, open_loop
from benchmarks.roots import PACKAGE, make_root
from benchmarks.samples import Run, summarise
from benchmarks.targets import Figure
from evalctl import bootstrap, debs
from evalctl.layers import clone
from evalctl.settings import Settings, child_environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from benchmarks.cluster import Cluster

DEFAULT = Program(code=baselines.TRIVIAL, stdout=baselines.EXPECTED)
IN_IMAGE = Program(code=baselines.TRIVIAL, stdout=baselines.EXPECTED, environment="image")
ANYHOW = Program(code=f"import {PACKAGE}; print(2)", stdout="2\n", environment="image")
SCIENCE = Program(code="import numpy; print(2)", stdout="2\n")
RATE_PER_S = 20
EVERY_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long each pair of loops is."""

    seconds: float


FULL = Plan(seconds=20)
QUICK = Plan(seconds=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two loops at once, and how often something was switched meanwhile."""

    others: Run
    switched: Run
    switches: int


@dataclass
class Switching:
    """Everything that was found, by what was switched: `nothing`, `image`, `packages`, `command`."""

    pairs: dict[str, Pair] = field(default_factory=dict)

    def series(self) -> Mapping[str, Sequence[Run]]:
        found: dict[str, Sequence[Run]] = {}
        for what, pair in self.pairs.items():
            found |= {f"others, {what} switched": [pair.others], f"switched, {what} switched": [pair.switched]}
        return found


def measure(plan: Plan, *, say: Callable[[str], None]) -> Switching:
    """Switch under load, one kind after another. Raises ClusterFailed, OSError."""
    found = Switching()
    with _roots() as roots, _packages() as packages:
        file = roots[0].parent / "environments.toml"
        pointer = packages[0].parent / "current"
        _write(file, roots[0])
        _point(pointer, packages[0])
        with cluster(EVAL_ENVIRONMENTS_FILE=str(file), EVAL_ENVIRONMENT_ROOT=str(pointer)) as running:

            def turn(what: str, others: Program, switched: Program, switch: Callable[[int], Awaitable[None]]) -> None:
                say(f"switching: {what}, {plan.seconds:g} s")
                found.pairs[what] = uvloop.run(_pair(running, others, switched, switch, plan.seconds))

            turn("nothing", DEFAULT, IN_IMAGE, lambda _: asyncio.sleep(0))
            turn("image", DEFAULT, ANYHOW, _alternately(lambda root: _write(file, root), roots))
            turn("packages", IN_IMAGE, SCIENCE, _alternately(lambda root: _point(pointer, root), packages))
            if (command := _command(running, file, roots[0])) is not None:
                turn("command", DEFAULT, IN_IMAGE, command)
    return found


async def _pair(
    running: Cluster,
    others: Program,
    switched: Program,
    switch: Callable[[int], Awaitable[None]],
    duration_s: float,
) -> Pair:
    offsets_s = evenly(rate=RATE_PER_S, duration_s=duration_s)
    loops = [asyncio.create_task(open_loop(running.endpoint, one, offsets_s=offsets_s)) for one in (others, switched)]
    both, switches = asyncio.gather(*loops), 0
    while not both.done():
        pause = asyncio.create_task(asyncio.sleep(EVERY_S))
        switches += 1
        await switch(switches)
        await pause
    runs = await both
    return Pair(others=runs[0], switched=runs[1], switches=switches)


def _alternately(do: Callable[[Path], None], places: Sequence[Path]) -> Callable[[int], Awaitable[None]]:
    async def switch(number: int) -> None:
        do(places[number % len(places)])

    return switch


def _command(running: Cluster, file: Path, root: Path) -> Callable[[int], Awaitable[None]] | None:
    """What adds an image by the real command, and removes it the next time; None if its tools cannot be had."""
    try:
        tools = [debs.tool(Settings.from_env().state_dir, name) for name in ("skopeo", "umoci")]
    except debs.DebsError:
        return None
    layout = layouts.make_layout(file.parent / "layout", layouts.packed(root))
    variables = child_environment(
        EVAL_STATE_DIR=str(running.state),
        EVAL_ENVIRONMENTS_FILE=str(file),
        EVAL_PORT=str(running.endpoint.port),
        EVAL_TOKEN_AUTH=running.endpoint.token,
    )
    variables["PATH"] = ":".join([*(str(Path(tool).parent) for tool in tools), variables["PATH"]])

    async def switch(number: int) -> None:
        words = ["--from-dir", str(layout), "--name", "added"] if number % 2 else ["rm", "added", "--force"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "evalctl", "image", *words),
            env=variables,
            cwd=bootstrap.CHECKOUT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        _, said = await process.communicate()
        if process.returncode:
            raise ClusterFailed(f"evalctl image {' '.join(words)}: {said.decode(errors='replace')}")

    return switch


@contextmanager
def _roots() -> Iterator[list[Path]]:
    """Two roots of images, which differ in what a package of theirs says."""
    with tempfile.TemporaryDirectory(prefix="evalpool-bench-") as folder:
        Path(folder).chmod(0o755)
        yield [make_root(Path(folder, name), package=f"VALUE = {name!r}\n") for name in ("one", "two")]


@contextmanager
def _packages() -> Iterator[list[Path]]:
    """The default environment's packages twice; where they are, because they are hard links."""
    root = environment_root().resolve()
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=root.parent) as folder:
        Path(folder).chmod(0o755)
        places = [Path(folder, name) for name in ("one", "two")]
        for place in places:
            clone(root, place)
        yield places


def _write(file: Path, root: Path) -> None:
    partial = file.with_suffix(".partial")
    partial.write_text(f'[image]\ndirectory = "{root}"\n')
    partial.replace(file)


def _point(pointer: Path, root: Path) -> None:
    partial = pointer.with_suffix(".partial")
    partial.symlink_to(root)
    partial.replace(pointer)


def figures_of(found: Switching) -> list[Figure]:
    """The judged ones first; what could not be measured meets no target."""
    milliseconds = {
        what: [summarise(run).p99_s * 1000 for run in (pair.others, pair.switched)]
        for what, pair in found.pairs.items()
    }
    failures = sum(summarise(run).errors for pair in found.pairs.values() for run in (pair.others, pair.switched))
    others = {what: figures[0] for what, figures in milliseconds.items()}
    return [
        *(Figure(name=name, value=others.get(what, math.nan), unit="ms") for what, name in targets.SWITCHES.items()),
        Figure(name=targets.SWITCH_FAILURES, value=failures, unit=""),
        Figure(name="others, while nothing is switched, p99", value=others["nothing"], unit="ms"),
        *(
            Figure(name=f"the one whose {what} is switched, p99", value=milliseconds[what][1], unit="ms")
            for what in ("image", "packages")
        ),
        Figure(name="switches under load", value=sum(pair.switches for pair in found.pairs.values()), unit=""),
    ]
