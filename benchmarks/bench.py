"""`python -m benchmarks.bench`: measure, print a table, store the figures, and judge them.

Exits 0 if every target is met, 1 if one is missed (unless told not to judge), 2 if nothing could be measured.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks import (
    batches,
    complaints,
    environments,
    judge,
    languages,
    memory,
    neighbours,
    report,
    rivals,
    switching,
    targets,
    walls,
)
from benchmarks.cluster import ClusterFailed
from benchmarks.dialects import Rival, rival
from benchmarks.hostile import HOSTILE
from benchmarks.measure import CONCURRENT, FULL, JUDGED_CONCURRENCY, PARALLEL, QUICK, Measurement, measure
from benchmarks.targets import Figure, Judgement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from benchmarks.samples import Run

MIB = 1 << 20
TABLE_COLUMNS = 104
"""A pipe has none of its own, and rich would cut the figures to 80."""
PARTS = ("evals", "batches", "judge", "languages", "neighbours", "walls", "environments", "switching")
BESIDE_OTHERS = ("rivals", "complaints")
"""Parts that need `--rival`."""
CLOSED_SERIES = ("eval 1", *(f"eval {c}" for c in CONCURRENT), "science eval")


def figures_of(found: Measurement) -> list[Figure]:
    """Every line of the report, the judged ones first."""
    return [*_judged(found), *_stated(found), *_memory(found), *_growth(found)]


def _judged(found: Measurement) -> Iterator[Figure]:
    yield _milliseconds(found, targets.LATENCY, "eval 1", baseline="nsjail 1")
    yield Figure(
        name=targets.THROUGHPUT,
        value=found.summary(f"eval {JUDGED_CONCURRENCY}").rate,
        unit="/s",
        baseline=found.best_rate("nsjail", PARALLEL),
    )
    loop = found.summary("open loop")
    yield Figure(name=targets.OPEN_P99, value=loop.p99_s * 1000, unit="ms")
    yield Figure(name=targets.OPEN_FAILURES, value=loop.errors, unit="")
    yield _milliseconds(found, targets.SCIENCE, "science eval", baseline="science cold")
    failures = sum(found.summary(name).errors for name in CLOSED_SERIES)
    yield Figure(name=targets.FAILURES, value=failures, unit="")


def _stated(found: Measurement) -> Iterator[Figure]:
    yield _milliseconds(found, "bare python3 -c p50", "bare 1")
    yield _milliseconds(found, "eval p50, 1 at a time, vs bare python3", "eval 1", baseline="bare 1")
    for parallel in PARALLEL:
        rate = found.summary(f"nsjail {parallel}").rate
        yield Figure(name=f"nsjail, {parallel} at a time", value=rate, unit="/s")
    for concurrency in CONCURRENT:
        summary = found.summary(f"eval {concurrency}")
        yield Figure(name=f"evals, {concurrency} at a time", value=summary.rate, unit="/s")
        yield Figure(name=f"evals, {concurrency} at a time, p99", value=summary.p99_s * 1000, unit="ms")
    yield Figure(name="open loop, rate", value=found.summary("open loop").rate, unit="/s")
    yield Figure(name="evals by warm cells, 1 at a time", value=found.summary("eval 1").warm * 100, unit="%")
    yield _milliseconds(found, "queue alone p50, 1 at a time", "queue 1")
    yield Figure(name="queue alone, 16 at a time", value=found.summary("queue 16").rate, unit="/s")


def _memory(found: Measurement) -> Iterator[Figure]:
    for zygote in found.zygotes:
        yield Figure(name=f"zygote {zygote.tier}, PSS", value=zygote.pss_bytes / MIB, unit="MiB")
    for tier in sorted({z.tier for z in found.zygotes}):
        pss, private = memory.mean_cell(found.zygotes, tier)
        yield Figure(name=f"idle cell {tier}, PSS", value=pss / MIB, unit="MiB")
        yield Figure(name=f"idle cell {tier}, private", value=private / MIB, unit="MiB")


def _growth(found: Measurement) -> Iterator[Figure]:
    before, after = found.census["before"], found.census["after"]
    evals = sum(found.summary(name).count for name in (*CLOSED_SERIES, "open loop"))
    yield Figure(name="evals between the censuses", value=evals, unit="")
    yield Figure(name="growth, RSS", value=(after.rss_bytes - before.rss_bytes) / MIB, unit="MiB")
    for name in ("processes", "zombies", "descriptors", "mounts", "cgroups", "keys"):
        grown = getattr(after, name) - getattr(before, name)
        yield Figure(name=f"growth, {name}", value=grown, unit="")


def _milliseconds(found: Measurement, name: str, series: str, *, baseline: str | None = None) -> Figure:
    below = None if baseline is None else found.summary(baseline).p50_s * 1000
    return Figure(name=name, value=found.summary(series).p50_s * 1000, unit="ms", baseline=below)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short pass; its figures are noisy")
    parser.add_argument("--no-judge", action="store_true", help="exit 0 even if a target is missed")
    every = (*PARTS, *BESIDE_OTHERS)
    parser.add_argument("--part", choices=every, action="append", help="measure this part alone; repeatable")
    parser.add_argument("--beside", choices=HOSTILE, action="append", help="only this kind of neighbour; repeatable")
    told = "NAME=http://[TOKEN@]HOST:PORT, for the parts rivals and complaints; repeatable"
    parser.add_argument("--rival", type=rival, action="append", default=[], help=told)
    options = parser.parse_args(arguments)
    console = Console(width=max(Console().width, TABLE_COLUMNS))
    try:
        with console.status("starting") as status:
            parts, kinds = options.part or PARTS, options.beside or HOSTILE
            found = _measured(parts, kinds, quick=options.quick, say=status.update)
            beside = _beside(options.rival, parts, quick=options.quick, say=status.update)
            figures, series, details = [*found[0], *beside[0]], {**found[1], **beside[1]}, {**found[2], **beside[2]}
    except (ClusterFailed, OSError) as error:
        Console(stderr=True).print(f"bench: {error}", style="red", markup=False)
        return 2
    console.print(report.table(figures))
    console.print(f"stored in {report.write(figures, series, details)}")
    missed = any(f.judgement is Judgement.FAIL for f in figures)
    return int(missed and not options.no_judge)


def _measured(
    parts: Sequence[str], kinds: Collection[str], *, quick: bool, say: Callable[[str], None]
) -> tuple[list[Figure], Mapping[str, Sequence[Run]], Mapping[str, object]]:
    """Figures, series and details of these parts; `kinds` of neighbours."""
    figures: list[Figure] = []
    series: dict[str, Sequence[Run]] = {}
    details: dict[str, object] = {}
    if "evals" in parts:
        found = measure(QUICK if quick else FULL, say=say)
        figures += figures_of(found)
        series |= found.series
        details |= found.details()
    if "batches" in parts:
        of_batches = batches.measure(batches.QUICK if quick else batches.FULL, say=say)
        figures += batches.figures_of(of_batches)
        series |= of_batches.series()
        details["batches"] = {"rates": of_batches.rates}
    if "judge" in parts:
        of_judge = judge.measure(judge.QUICK if quick else judge.FULL, say=say)
        figures += judge.figures_of(of_judge)
        details["judge"] = {"evals_s": of_judge.evals_s, "judge_s": of_judge.judge_s}
    if "languages" in parts:
        of_languages = languages.measure(languages.QUICK if quick else languages.FULL, say=say)
        figures += languages.figures_of(of_languages)
        series |= of_languages.series()
    if "neighbours" in parts:
        of_neighbours = neighbours.measure(neighbours.QUICK if quick else neighbours.FULL, kinds, say=say)
        figures += neighbours.figures_of(of_neighbours)
        series |= of_neighbours.series()
    if "walls" in parts:
        of_walls = walls.measure(walls.QUICK if quick else walls.FULL, say=say)
        figures += walls.figures_of(of_walls)
        series |= of_walls.series()
    if "environments" in parts:
        of_environments = environments.measure(environments.QUICK if quick else environments.FULL, say=say)
        figures += environments.figures_of(of_environments)
        series |= of_environments.series()
    if "switching" in parts:
        of_switching = switching.measure(switching.QUICK if quick else switching.FULL, say=say)
        figures += switching.figures_of(of_switching)
        series |= of_switching.series()
    return figures, series, details


def _beside(
    others: Sequence[Rival], parts: Sequence[str], *, quick: bool, say: Callable[[str], None]
) -> tuple[list[Figure], Mapping[str, Sequence[Run]], Mapping[str, object]]:
    """The same, of the parts that are about others too."""
    figures: list[Figure] = []
    series: dict[str, Sequence[Run]] = {}
    details: dict[str, object] = {}
    if "rivals" in parts:
        of_rivals = rivals.measure(rivals.QUICK if quick else rivals.FULL, others, say=say)
        figures += rivals.figures_of(of_rivals)
        series |= of_rivals.series
    if "complaints" in parts:
        of_complaints = complaints.measure(others, say=say)
        figures += complaints.figures_of(of_complaints)
        details["complaints"] = complaints.details_of(of_complaints)
    return figures, series, details


if __name__ == "__main__":
    sys.exit(main())
