"""A real Prometheus scrapes a real pool under load: what dashboard, rules and autoscaler ask has an answer."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import pytest_asyncio
import yaml
from cluster import Cluster, post
from scraper import Prometheus
from validators import DEPLOY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from validators import Tools

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]
LOAD_S = 3.0
PROGRAMS = ["print(1)", "import time; time.sleep(0.05)", "1 / 0", "import json; print(json)"]


@pytest_asyncio.fixture(scope="module")
async def pool() -> AsyncIterator[Cluster]:
    with Cluster(None) as opened:
        opened.start_worker()
        opened.start_coordinator()
        await opened.ready()
        yield opened


@pytest_asyncio.fixture(scope="module")
async def scraped(
    pool: Cluster, prometheus: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    """Prometheus after some seconds of load, which goes on until the tests have asked."""
    workers = [worker.port for worker in pool.alive("worker")]
    targets = {"evalpool-api": [pool.api.port], "evalpool-worker": workers}
    with Prometheus(prometheus, tmp_path_factory.mktemp("prometheus"), targets) as opened:
        load = asyncio.create_task(use(pool))
        await opened.ready()
        await asyncio.sleep(LOAD_S)
        yield opened
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)


async def use(pool: Cluster) -> None:
    """A few evals at a time, a batch, and a request that is refused; and again."""
    batch = {"items": [{"custom_id": str(number), "code": "print(1)"} for number in range(10)]}
    async with pool.client() as http:
        while True:
            await http.post("/v1/eval", json={"no": "code"})
            await http.post("/v1/batches", json=batch)
            await asyncio.gather(*(post(http, program) for program in PROGRAMS * 2))
            await asyncio.sleep(0.3)


def panels() -> list[tuple[str, str]]:
    dashboard = json.loads((DEPLOY / "grafana/evalpool.json").read_text())
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "5s"))
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]


def triggers() -> dict[str, str]:
    scaled = yaml.safe_load((DEPLOY / "kubernetes/overlays/production/scaledobject-worker.yaml").read_text())
    return {one["name"]: one["metadata"]["query"] for one in scaled["spec"]["triggers"]}


def has_numbers(found: list[dict[str, Any]]) -> bool:
    return any(math.isfinite(float(one["value"][1])) for one in found)


@pytest.mark.parametrize(("title", "expression"), panels())
async def test_a_panel_shows_something(scraped: Prometheus, title: str, expression: str) -> None:
    found = await scraped.query(expression)

    assert has_numbers(found), f"{title}: {expression} gives {found}"


async def test_the_dashboard_shows_what_the_autoscaler_asks() -> None:
    assert set(triggers().values()) <= {expression for _, expression in panels()}


@pytest.mark.parametrize("name", ["wanted", "boost"])
async def test_the_autoscaler_gets_one_number(scraped: Prometheus, name: str) -> None:
    """KEDA refuses more, and takes none for a fault."""
    found = await scraped.query(triggers()[name])

    assert len(found) == 1
    assert 0 <= float(found[0]["value"][1]) <= 50


async def test_the_load_is_that_of_the_workers(scraped: Prometheus) -> None:
    load = await scraped.value("sum(rate(evalpool_load_seconds_total[5s]))")

    assert load is not None
    assert 0 < load <= 2


async def test_every_rule_can_be_evaluated(scraped: Prometheus) -> None:
    rules = await scraped.rules()

    assert len(rules) > 20
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []


async def test_recorded_series_have_values(scraped: Prometheus) -> None:
    for window in ("5m", "30m", "1h", "6h", "3d"):
        found = await scraped.query(f"evalpool:slow_evals:ratio_rate{window}")

        assert {one["metric"]["sli"] for one in found} == {"request", "overhead"}
        assert all(0 <= float(one["value"][1]) <= 1 for one in found)


async def test_alerts_ask_for_metrics_that_there_are(scraped: Prometheus) -> None:
    """A misspelt name is silent for ever."""
    names = {name for rule in await scraped.rules() if rule["type"] == "alerting" for name in metrics(rule["query"])}

    assert len(names) > 10
    for name in names:
        assert await scraped.query(name), name


@pytest.mark.usefixtures("scraped")
@pytest.mark.parametrize("name", ["api", "worker"])
async def test_scrapes_are_as_prometheus_wants_them(pool: Cluster, tools: Tools, name: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        scrape = await http.get(f"http://127.0.0.1:{getattr(pool, name).port}/metrics")

    assert complaints(tools, scrape.text) == ""


def complaints(tools: Tools, scrape: str) -> str:
    command = [tools.promtool, "check", "metrics"]
    done = subprocess.run(command, input=scrape, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def metrics(expression: str) -> list[str]:
    words = expression.replace("(", " ").replace("{", " ").replace("[", " ").replace(")", " ").split()
    return [word for word in words if word.startswith("evalpool")]
