"""Asks a server of this machine which environments its workers serve, and waits for a change to arrive there."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evalctl.settings import Settings

_PATIENCE_S = 60.0
_PAUSE_S = 0.2


def environments(settings: Settings) -> Mapping[str, Mapping[str, Any]] | None:
    """What `GET /v1/environments` says, by name; None if no server of ours answers."""
    token = settings.known_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with contextlib.suppress(httpx2.HTTPError, ValueError, KeyError):
        answer = httpx2.get(f"{settings.base_url}/v1/environments", headers=headers, timeout=5, trust_env=False)
        if answer.status_code == httpx2.codes.OK:
            return {one["name"]: one for one in answer.json()["environments"]}
    return None


def wait_for(settings: Settings, arrived: Callable[[Mapping[str, Mapping[str, Any]]], bool]) -> bool | None:
    """Whether the change arrived within a minute; None if no server answers."""
    until = time.monotonic() + _PATIENCE_S
    while (served := environments(settings)) is not None:
        if arrived(served):
            return True
        if time.monotonic() > until:
            return False
        time.sleep(_PAUSE_S)
    return None


def everywhere(name: str, digest: str) -> Callable[[Mapping[str, Mapping[str, Any]]], bool]:
    """Whether every worker serves the environment, in this image."""

    def arrived(served: Mapping[str, Mapping[str, Any]]) -> bool:
        mine = served.get(name, {"workers": 0, "digests": []})
        workers = {worker for one in served.values() for worker in one["served_by"]}
        return bool(mine["workers"] == len(workers) and mine["digests"] == [f"sha256:{digest}"])

    return arrived


def nowhere(digest: str) -> Callable[[Mapping[str, Mapping[str, Any]]], bool]:
    """Whether no worker serves anything in this image any more."""
    return lambda served: all(f"sha256:{digest}" not in one["digests"] for one in served.values())
