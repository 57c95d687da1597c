"""A real Prometheus on loopback and the queries put to it."""

from __future__ import annotations

import json
import math
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from benchmarks.cluster import HOST, ClusterFailed, free_port
from evalctl import debs, tether
from evalctl.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

START_S = 20.0
_CONFIG = """\
global: {{scrape_interval: {interval_ms}ms, scrape_timeout: {interval_ms}ms}}
scrape_configs:
  - job_name: evalpool
    file_sd_configs: [{{files: [targets.json], refresh_interval: 1s}}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """A running server. Not of several threads at once."""

    http: httpx2.Client

    def value(self, query: str) -> float | None:
        """The one element of a query now; None where there is not exactly one number, or no answer."""
        try:
            answer = self.http.get("/api/v1/query", params={"query": query})
            found = answer.raise_for_status().json()["data"]["result"]
        except httpx2.HTTPError:
            return None
        number = float(found[0]["value"][1]) if len(found) == 1 else math.nan
        return None if math.isnan(number) else number


@contextmanager
def prometheus(folder: Path, *, ports: Sequence[int], scrape_every_s: float) -> Iterator[Prometheus]:
    """Start one in the folder that scrapes these ports of loopback. Raises ClusterFailed, DebsError."""
    folder.mkdir()
    program = debs.tool(Settings.from_env().state_dir, "prometheus")
    (folder / "prometheus.yml").write_text(_CONFIG.format(interval_ms=round(scrape_every_s * 1000)))
    targets = [{"targets": [f"{HOST}:{port}" for port in ports]}]
    (folder / "targets.json").write_text(json.dumps(targets))
    port = free_port()
    command = [program, "--config.file=prometheus.yml", f"--web.listen-address={HOST}:{port}"]
    command += ["--storage.tsdb.path=data", "--log.level=warn", "--query.lookback-delta=15s"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            tether.tethered(command), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        with httpx2.Client(base_url=f"http://{HOST}:{port}", trust_env=False, timeout=5) as http:
            _wait_until_ready(http, process, folder / "log")
            yield Prometheus(http=http)
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(http: httpx2.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < give_up:
        try:
            if http.get("/-/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.05)
    raise ClusterFailed(f"prometheus did not start: {log.read_text()[-2000:]}")
