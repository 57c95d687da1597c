"""Asks a server of this machine which environments its workers serve, and waits for a change to arrive there."""

from __future__ import annotations

import contextlib
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import httpx2

from evalctl import guards
from evalctl.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evalctl.settings import Settings


class Served(StrEnum):
    """How far a change has come, in words for people."""

    EVERYWHERE = "every worker serves it"
    NOT_YET = "not every worker serves it yet; their logs say why"
    NO_SERVER = "no server runs here now; workers find it when they start"
    SILENT = "workers take it over by themselves, but no API answers here to ask (EVAL_PORT?)"


_PATIENCE_S = 60.0
_PAUSE_S = 0.2


def environments(settings: Settings) -> Mapping[str, Mapping[str, Any]] | None:
    """What `GET /v1/environments` says, by name; None if no server of ours answers."""
    token = settings.own_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with contextlib.suppress(httpx2.HTTPError, ValueError, KeyError):
        answer = httpx2.get(f"{settings.own_url}/v1/environments", headers=headers, timeout=5, trust_env=False)
        if answer.status_code == httpx2.codes.OK:
            return {one["name"]: one for one in answer.json()["environments"]}
    return None


def wait_for(
    settings: Settings,
    arrived: Callable[[Mapping[str, Mapping[str, Any]]], bool],
    overtaken: Callable[[], bool] = lambda: False,
) -> bool | None:
    """Whether the change arrived within a minute, and was not overtaken by another; None if no server answers."""
    until = time.monotonic() + _PATIENCE_S
    while (served := environments(settings)) is not None:
        if arrived(served):
            return True
        if time.monotonic() > until or overtaken():
            return False
        time.sleep(_PAUSE_S)
    return None


def require_answer(settings: Settings) -> None:
    """Raise ImageError if a server runs on this state folder but does not answer: nobody knows what it serves."""
    if guards.is_owned(settings.state_dir) and environments(settings) is None:
        raise ImageError(f"a server runs on {settings.state_dir}, but none answers at {settings.own_url} (EVAL_PORT?)")


def arrived_everywhere(settings: Settings, name: str, digest: str, overtaken: Callable[[], bool]) -> Served:
    """Wait until every worker serves the environment in this image."""
    arrived = wait_for(settings, everywhere(name, digest), overtaken)
    if arrived is None:
        return Served.SILENT if guards.is_owned(settings.state_dir) else Served.NO_SERVER
    return Served.EVERYWHERE if arrived else Served.NOT_YET


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
