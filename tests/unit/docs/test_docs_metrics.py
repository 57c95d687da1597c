"""Every metric is documented, with its type and labels; nothing else is."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from documents import DOCS, DOCUMENTS, ROOT, rows, section
from prometheus_client.metrics import MetricWrapperBase

import api.metrics
from sandbox.host.pool import PoolStats
from worker.metrics import WorkerMetrics

if TYPE_CHECKING:
    from sandbox.host.pool import Pool

_METRIC = re.compile(r"\bevalpool_\w+[a-z]\b(?!\.)")
Shape = tuple[str | None, frozenset[str]]
"""Type and labels."""


def documented(title: str) -> dict[str, Shape]:
    table = rows(section(DOCS / "metrics.md", title))
    return {row.code(0)[0]: (row.cells[1], frozenset(row.code(2))) for row in table}


def exposed(name: str, kind: str | None) -> str:
    """Name as a scrape shows it."""
    return f"{name}_total" if kind == "counter" else name


def test_every_metric_of_the_api_is_documented_and_no_other() -> None:
    declared = [value for value in vars(api.metrics).values() if isinstance(value, MetricWrapperBase)]
    shapes = {exposed(one._name, one._type): (one._type, frozenset(one._labelnames)) for one in declared}

    assert documented("API") == shapes


def test_every_metric_of_the_worker_is_documented_and_no_other() -> None:
    metrics = WorkerMetrics(slots=1, starts=1)
    pool: Any = SimpleNamespace(warm=0, starting=0, stats=PoolStats())
    metrics.watch(lambda: [("default", "bare", cast("Pool", pool))])
    shapes = {
        exposed(family.name, family.type): (
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels if label != "le"),
        )
        for family in metrics.registry.collect()
        if family.name.startswith("evalpool_")
    }

    assert documented("Worker") == shapes


def test_whatever_names_a_metric_names_one_that_there_is() -> None:
    """Pages, rules, dashboard, manifests: a name that is none is silent for ever."""
    known = set(documented("API")) | set(documented("Worker"))
    files = [*DOCUMENTS, *(path for path in (ROOT / "deploy").rglob("*") if path.suffix in (".yaml", ".json"))]
    named = {(path.name, name) for path in files for name in _METRIC.findall(path.read_text())}

    assert len(named) > 100
    for file, name in named:
        assert re.sub("_(bucket|sum|count)$", "", name) in known, f"{file}: {name}"
