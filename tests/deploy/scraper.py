"""A real Prometheus on loopback, with the configuration of `deploy/prometheus`; only the targets are a test's own."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import httpx2
import yaml
from cluster import free_port
from validators import DEPLOY

from evalctl import tether

if TYPE_CHECKING:
    from pathlib import Path

READY_S = 60.0


class Prometheus:
    """Scrapes twice a second. A context manager."""

    def __init__(self, program: str, folder: Path, targets: dict[str, list[int]]) -> None:
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(DEPLOY / "prometheus" / pattern) for pattern in config["rule_files"]]
        for job in config["scrape_configs"]:
            del job["dns_sd_configs"]
            ports = targets[job["job_name"]]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self._address = f"127.0.0.1:{free_port()}"
        self._command = [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        self.log = folder / "log"

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(tether.tethered(self._command), stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    async def ready(self) -> None:
        """Wait until every target was scraped twice, so that there are rates."""
        async with asyncio.timeout(READY_S):
            while True:
                with suppress(httpx2.TransportError, ValueError):
                    if (await self.value("min(count_over_time(up[1m])) * min(up)") or 0) >= 2:
                        return
                await asyncio.sleep(0.2)

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """Series that an expression gives now. Raises ValueError, with what Prometheus says."""
        answer = await self._get("/api/v1/query", query=expression)
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    async def value(self, expression: str) -> float | None:
        """Number that an expression gives now; None if it gives nothing."""
        found = await self.query(expression)
        return float(found[0]["value"][1]) if found else None

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule, and how its last evaluation went."""
        groups = (await self._get("/api/v1/rules"))["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    async def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        # No certificates to load: it is plain HTTP, and asked a hundred times.
        async with httpx2.AsyncClient(
            base_url=f"http://{self._address}", trust_env=False, timeout=10, verify=False
        ) as http:
            answer: dict[str, Any] = (await http.get(path, params=parameters)).json()
            return answer
