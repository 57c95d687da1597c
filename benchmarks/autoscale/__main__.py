"""`python -m benchmarks.autoscale`: the whole story, a table, a plot. What `make autoscale-demo` runs.

Exits 0 if nothing was lost, nothing flapped, and the peak was served within the target in the end; else 1.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import plots, report
from benchmarks.autoscale import manifest, story
from benchmarks.autoscale.run import SCRAPE_S, SYNC_S, Setup, run
from benchmarks.autoscale.story import Phase
from benchmarks.cluster import ClusterFailed
from benchmarks.load import Program
from evalctl.bootstrap import CHECKOUT
from evalctl.debs import DebsError
from evalctl.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.autoscale.run import Outcome
    from benchmarks.autoscale.story import Row

MANIFEST = CHECKOUT / "deploy/kubernetes/overlays/production/scaledobject-worker.yaml"
FACTOR, SLOTS, NAP_S, MOST = 10.0, 4, 0.05, 6
HIGHEST, LIGHT = 200.0, 1.6
"""The peak, per second, and how many times that the machine must be able to do with programs that end at once: it has
to boot the other workers beside."""
PROGRAM = Program(code=f"import time\ntime.sleep({NAP_S})", stdout="")
CAUGHT_UP = "peak, caught up"
KILL_AT_S = 50.0


def phases(high: float) -> list[Phase]:
    """A tenth of the peak, the peak, a tenth again."""
    low = high / 10
    return [
        Phase(name="quiet", start=low, end=low, duration_s=12),
        Phase(name="climb", start=low, end=high, duration_s=8),
        Phase(name="peak, catching up", start=high, end=high, duration_s=10),
        Phase(name=CAUGHT_UP, start=high, end=high, duration_s=20),
        Phase(name="peak, one killed", start=high, end=high, duration_s=15),
        Phase(name="fall", start=high, end=low, duration_s=5),
        Phase(name="quiet again", start=low, end=low, duration_s=58),
    ]


def judged(outcome: Outcome, rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """What the run has to show."""
    counts = [moment.wanted for moment in outcome.moments]
    peak = next(row for row in rows if row.phase == CAUGHT_UP)
    return [
        (f"lost: {sum(row.lost for row in rows)} of {len(outcome.run.samples)}", not any(row.lost for row in rows)),
        (f"workers killed: {outcome.killed}, drained: {outcome.drained}", outcome.killed > 0 < outcome.drained),
        (f"replicas: {counts[0]} up to {max(counts)} and back to {counts[-1]}", max(counts) > counts[0] >= counts[-1]),
        (f"changes of direction: {story.reversals(counts)} (more than 1 is flapping)", story.reversals(counts) == 1),
        (f"p99 at the peak, caught up: {peak.p99_ms:.0f} ms (target 100)", peak.p99_ms <= 100),
    ]


def shown(rows: Sequence[Row]) -> Table:
    view = Table(box=SIMPLE)
    for heading in ("load", "offered", "answered", "lost", "replicas", "p50", "p99", "slowest", "within 100 ms"):
        view.add_column(heading, justify="left" if heading in {"load", "replicas"} else "right", no_wrap=True)
    for row in rows:
        times = (f"{ms:.0f} ms" for ms in (row.p50_ms, row.p99_ms, row.worst_ms))
        counts = (f"{row.offered:.0f}/s", str(row.answered), str(row.lost))
        view.add_row(row.phase, *counts, row.replicas, *times, f"{row.in_target * 100:.1f} %")
    return view


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="autoscale-demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Settings.from_env().state_dir / "autoscale", help="folder")
    options = parser.parse_args(arguments)
    console = Console(width=max(Console().width, 120))
    scaling = manifest.read(MANIFEST).at_most(MOST)
    setup = Setup(
        scaling=scaling,
        phases=lambda possible: phases(min(HIGHEST, possible / LIGHT // 10 * 10)),
        factor=FACTOR,
        program=PROGRAM,
        slots=SLOTS,
        kill_at_s=KILL_AT_S,
    )
    console.print(
        f"{MANIFEST.relative_to(CHECKOUT)}: its queries and behaviour, every duration divided by {FACTOR:g}; "
        f"a decision every {SYNC_S / FACTOR:g} s, a scrape every {SCRAPE_S / FACTOR:.2g} s; "
        f"at most {MOST} workers of {SLOTS} slots; programs that sleep {NAP_S * 1000:g} ms"
    )
    try:
        with console.status("starting") as status:
            outcome = run(setup, say=status.update)
    except (ClusterFailed, DebsError, OSError) as error:
        Console(stderr=True).print(f"autoscale-demo: {error}", style="red", markup=False)
        return 2
    rows = story.table(outcome.phases, outcome.offsets_s, outcome.run.samples, outcome.moments)
    verdicts = judged(outcome, rows)
    data = {
        "machine": report.machine(),
        "factor": FACTOR,
        "killed_at_s": KILL_AT_S,
        "phases": [asdict(row) for row in rows],
        "seconds": story.seconds(outcome.offsets_s, outcome.run.samples),
        "moments": [asdict(moment) for moment in outcome.moments],
        "verdicts": [{"said": said, "holds": holds} for said, holds in verdicts],
    }
    console.print(shown(rows))
    for said, holds in verdicts:
        console.print(f"  [{'green' if holds else 'bold red'}]{'PASS' if holds else 'FAIL'}[/]  {said}")
    console.print(f"plot: {plots.draw('autoscale', data, options.out)}")
    return int(not all(holds for _, holds in verdicts))


if __name__ == "__main__":
    sys.exit(main())
