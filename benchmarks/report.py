"""What a bench leaves behind: a table for people and a JSON file for later."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.box import SIMPLE
from rich.table import Table

from benchmarks.samples import percentile, pooled, summarise
from benchmarks.targets import Judgement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.samples import Run
    from benchmarks.targets import Figure

RESULTS = Path(__file__).parent / "results"
COLOURS = {Judgement.PASS: "green", Judgement.FAIL: "bold red", Judgement.STATED: "dim"}


def table(figures: Iterable[Figure]) -> Table:
    """Figure, value, baseline, ratio, target, judgement."""
    view = Table(box=SIMPLE)
    view.add_column("figure", no_wrap=True)
    for heading in ("value", "baseline", "ratio", "target"):
        view.add_column(heading, justify="right", no_wrap=True)
    view.add_column("", no_wrap=True)
    for f in figures:
        view.add_row(
            f.name,
            _number(f.value, f.unit),
            "" if f.baseline is None else _number(f.baseline, f.unit),
            "" if f.ratio is None else f"{f.ratio:.3g}",
            "" if f.target is None else str(f.target),
            f"[{COLOURS[f.judgement]}]{f.judgement}",
        )
    return view


def _number(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def write(
    figures: Sequence[Figure], series: Mapping[str, Sequence[Run]], details: Mapping[str, object]
) -> Path:
    """Store a bench as `<date>-<git sha>.json`; samples are summarised over all rounds and per round."""
    now, sha = datetime.now(UTC), _git("rev-parse", "--short", "HEAD")
    body = {
        "date": now.isoformat(timespec="seconds"),
        "git": {"sha": sha, "dirty": bool(_git("status", "--porcelain"))},
        "machine": machine(),
        **details,
        "figures": [_figure(f) for f in figures],
        "series": {name: _series(runs) for name, runs in series.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{now:%Y-%m-%dT%H%M%S}-{sha or 'nogit'}.json"
    # msgspec, since json would write the NaN of an unmeasured figure, which is no JSON.
    path.write_bytes(msgspec.json.format(msgspec.json.encode(body), indent=1) + b"\n")
    return path


def machine() -> dict[str, object]:
    """Where the figures are from."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": pages * page_bytes,
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
        "root": os.geteuid() == 0,
    }


def _figure(figure: Figure) -> dict[str, object]:
    return asdict(figure) | {
        "ratio": figure.ratio,
        "target": None if figure.target is None else str(figure.target),
        "judgement": figure.judgement,
    }


def _series(runs: Sequence[Run]) -> dict[str, object]:
    per_round = [percentile((s.latency_s for s in run.samples), 0.5) for run in runs]
    return asdict(summarise(pooled(runs))) | {"round_p50_s": per_round, "round_rate": [r.rate for r in runs]}


def _git(*args: str) -> str:
    done = subprocess.run(["git", *args], cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()
