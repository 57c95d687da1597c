"""A report holds every target's figure, and what is stored can be read back."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import (
    batches,
    complaints,
    environments,
    judge,
    languages,
    neighbours,
    report,
    switching,
    targets,
    walls,
)
from benchmarks.batches import Batches
from benchmarks.bench import figures_of
from benchmarks.complaints import Finding
from benchmarks.environments import Environments
from benchmarks.hostile import HOSTILE
from benchmarks.judge import Judged
from benchmarks.languages import Languages
from benchmarks.measure import CONCURRENT, FULL, PARALLEL, Measurement
from benchmarks.memory import Census, ZygoteMemory
from benchmarks.neighbours import Neighbours
from benchmarks.samples import Run, Sample
from benchmarks.switching import Pair, Switching
from benchmarks.targets import Judgement
from benchmarks.walls import ALL, CGROUP, LINES, Walls
from sandbox.guest import cell

MIB = 1 << 20

OF_BATCHES = {targets.BATCH_RATE, targets.UNDER_BATCH, targets.UNDER_BATCH_FAILURES}
OF_LANGUAGES = {targets.language_alone("bash"), targets.language_alone("node"), targets.of_language("node")}
OF_NEIGHBOURS = {*map(targets.beside, HOSTILE), targets.BESIDE_FAILURES}
OF_JUDGE = {targets.JUDGE_SMALL, targets.JUDGE_LARGE}
OF_SWITCHING = {*targets.SWITCHES.values(), targets.SWITCH_FAILURES}
OF_COMPLAINTS = set(map(targets.complaint, targets.COMPLAINTS))
OTHERS = OF_BATCHES | OF_JUDGE | OF_LANGUAGES | OF_NEIGHBOURS | OF_SWITCHING | OF_COMPLAINTS | {targets.IMAGE}
OF_EVALS = targets.TARGETS.keys() - OTHERS


def run_of(latency_s, *, rate):
    return Run(samples=[Sample(latency_s, 200, "ok", warm=True)] * 10, elapsed_s=10 / rate)


@pytest.fixture
def found():
    measured = Measurement(FULL)
    names = ["bare 1", "science cold", "science eval", "open loop", "queue 1", "queue 16", "eval 1"]
    for name in [*names, *(f"eval {c}" for c in CONCURRENT)]:
        measured.series[name] = [run_of(0.002, rate=400)] * 2
    for parallel in PARALLEL:
        measured.series[f"nsjail {parallel}"] = [run_of(0.020, rate=40 + parallel)]
    measured.series["science cold"] = [run_of(0.6, rate=1)]
    measured.zygotes = [
        ZygoteMemory(tier="bare", pss_bytes=8 * MIB, cells=4, cell_pss_bytes=2 * MIB, cell_private_bytes=MIB)
    ]
    empty = Census(processes=3, zombies=0, descriptors=60, rss_bytes=MIB, mounts=20, cgroups=9, keys=4)
    measured.census = {"before": empty, "after": empty}
    return measured


def test_every_target_is_judged_by_a_figure(found):
    figures = {f.name: f for f in figures_of(found)}

    assert {n for n, f in figures.items() if f.judgement is not Judgement.STATED} == OF_EVALS
    assert figures[targets.LATENCY].ratio == pytest.approx(0.1)
    assert figures[targets.THROUGHPUT].ratio == pytest.approx(400 / 44)
    assert figures["idle cell bare, PSS"].value == 2


def test_a_missed_target_fails(found):
    found.series["open loop"].append(Run(samples=[Sample(0.01, 503, "http_503")], elapsed_s=1))

    figures = {f.name: f for f in figures_of(found)}

    assert figures[targets.OPEN_FAILURES].judgement is Judgement.FAIL


def test_the_table_shows_every_figure(found):
    figures = figures_of(found)
    console = Console(width=200, file=io.StringIO())

    console.print(report.table(figures))

    text = console.file.getvalue()
    assert [f.name for f in figures if f.name not in text] == []


def test_a_stored_bench_reads_back_with_machine_rounds_and_errors(found, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")

    stored = json.loads(report.write(figures_of(found), found.series, found.details()).read_text())

    assert stored["machine"]["cores"] >= 1
    assert stored["series"]["eval 1"]["errors"] == 0
    assert stored["series"]["eval 1"]["round_p50_s"] == [0.002, 0.002]
    assert {f["name"] for f in stored["figures"]} >= OF_EVALS


def test_a_batch_is_judged_by_its_rate_and_by_what_others_feel_of_it():
    run = Run(samples=[Sample(0.01, 200, "ok")] * 100, elapsed_s=1.0)
    found = Batches(rates=[110, 130], closed={16: [run], 64: [run]}, under=run, largest=1000)
    figures = {f.name: f for f in batches.figures_of(found)}

    assert {n for n, f in figures.items() if f.judgement is Judgement.PASS} == OF_BATCHES
    assert figures[targets.BATCH_RATE].ratio == 1.2


def test_a_judge_request_is_judged_beside_as_many_evals():
    found = Judged()
    for name in OF_JUDGE:
        found.evals_s[name] += [1.0, 2.0, 9.0]
        found.judge_s[name] += [0.8, 0.6, 0.7]
    figures = {figure.name: figure for figure in judge.figures_of(found)}

    assert figures.keys() == OF_JUDGE
    assert {figure.ratio for figure in figures.values()} == {0.35}


def test_a_language_is_judged_beside_its_bare_command():
    found = Languages()
    for name, latency_s in (("bash", 0.003), ("node", 0.03), ("c", 0.003)):
        found.evals[name] = [run_of(latency_s, rate=1)]
        found.alone[name] = [run_of(latency_s, rate=1)]
        found.bare[name] = [run_of(0.002, rate=1)]
    found.service = [run_of(0.001, rate=1)]
    figures = {figure.name: figure for figure in languages.figures_of(found)}

    assert {name for name, figure in figures.items() if figure.judgement is not Judgement.STATED} == OF_LANGUAGES
    assert figures[targets.language_alone("bash")].ratio == pytest.approx(1.5)
    assert figures[targets.language_alone("bash")].judgement is Judgement.FAIL
    assert figures[targets.of_language("bash")].judgement is Judgement.STATED


def test_an_image_is_judged_beside_the_default_environment():
    found = Environments(default=[run_of(0.002, rate=1)], image=[run_of(0.0022, rate=1)])
    figures = {figure.name: figure for figure in environments.figures_of(found)}

    assert {name for name, figure in figures.items() if figure.judgement is Judgement.PASS} == {targets.IMAGE}
    assert figures[targets.IMAGE].ratio == pytest.approx(1.1)


def test_a_switch_is_judged_by_what_others_feel_of_it():
    kinds = ("nothing", *targets.SWITCHES)
    found = Switching(
        {what: Pair(others=run_of(0.03, rate=20), switched=run_of(0.2, rate=20), switches=2) for what in kinds}
    )
    figures = {figure.name: figure for figure in switching.figures_of(found)}
    assert {name for name, figure in figures.items() if figure.judgement is Judgement.PASS} == OF_SWITCHING

    del found.pairs["command"]
    figures = {figure.name: figure for figure in switching.figures_of(found)}
    assert figures[targets.SWITCHES["command"]].judgement is Judgement.FAIL, "it was not measured"


def test_every_kind_of_neighbour_is_judged():
    runs = {"nobody": run_of(0.001, rate=20)} | {kind: run_of(0.05, rate=20) for kind in HOSTILE}
    figures = {figure.name: figure for figure in neighbours.figures_of(Neighbours(runs))}

    assert {name for name, figure in figures.items() if figure.judgement is Judgement.PASS} == OF_NEIGHBOURS
    assert figures["p99 beside nobody"].value == pytest.approx(1)


def test_every_complaint_is_judged_of_us_alone():
    findings = {name: Finding(good=True, words="whole") for name in targets.COMPLAINTS}
    figures = {figure.name: figure for figure in complaints.figures_of({"evalpool": findings, "snekbox": findings})}

    assert {name for name, figure in figures.items() if figure.judgement is Judgement.PASS} == OF_COMPLAINTS


def test_a_walls_cost_is_what_goes_faster_without_it():
    found = Walls({ALL: [run_of(0.01, rate=100)], CGROUP: [run_of(0.01, rate=110)]})
    figures = {figure.name: figure for figure in walls.figures_of(found)}

    assert figures["without cgroup"].ratio == pytest.approx(1.1)


@pytest.mark.parametrize("name", LINES)
def test_every_wall_is_lines_of_the_guest_that_can_be_taken_out(name):
    """Measuring with a wall that still stands would show that it costs nothing."""
    source = Path(cell.__file__).read_text()
    changed = walls.without(source, LINES[name])

    assert changed.count("pass\n") > source.count("pass\n")
    compile(changed, "cell.py", "exec")
