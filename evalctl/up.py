"""`evalctl up`: Redis, workers and the API on this machine, checked by one real eval, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import secrets
import shlex
import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NoReturn

import httpx2
from pydantic import SecretStr, ValidationError

from api.settings import ApiSettings
from api.waiting import GRACE_S
from evalctl import arrival, bootstrap, coordinator, guards, shrinking, valkey
from evalctl.guards import UpError
from evalctl.layers import Layers
from evalctl.settings import Settings, child_environment
from evalctl.supervisor import ChildSpec, Interrupted, Supervisor
from jobs import tail
from jobs.connect import split_urls
from jobs.startup import faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_SLACK_S = 10.0
"""To end in, beyond what a process has to finish."""
_CLOSING_S = 0.5
"""Until a worker has all that the API let in before it stopped to."""
_COORDINATORS = 2
"""A batch has one to itself while another has its turn."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that is known before anything starts."""

    settings: Settings
    workers: int
    token: str = field(repr=False)
    redis_url: str = field(repr=False)
    redis_name: str
    server: valkey.PrivateServer | None
    environment_root: Path
    api: ApiSettings = field(repr=False)
    """What the API will make of its settings."""


def up(settings: Settings, *, workers: int) -> int:
    """Run until somebody ends it; returns the exit code. Raises UpError if it cannot start."""
    with guards.sole_owner(settings.state_dir) as children_lock:
        guards.require_free_port(settings.host, settings.port)
        plan = _plan(settings, workers)
        return asyncio.run(_serve(plan, children_lock))


def _plan(settings: Settings, workers: int) -> Plan:
    try:
        root = settings.environment_root or _default_environment(settings.state_dir)
    except bootstrap.BootstrapError as error:
        raise UpError(str(error)) from None
    url, name, server = settings.redis_url, "the one in EVAL_REDIS_URL", None
    if url is not None:
        _require_urls(url)
    else:
        choice = valkey.choose_server()
        server = valkey.private_server(choice, settings.run_dir)
        url, name = server.url, f"{choice} ({choice.path})"
    token = settings.token or _kept_token(settings.token_file)
    return Plan(
        settings=settings,
        workers=workers,
        token=token,
        redis_url=url,
        redis_name=name,
        server=server,
        environment_root=root,
        api=_api_settings(settings, url, token),
    )


def _api_settings(settings: Settings, url: str, token: str) -> ApiSettings:
    """Raise UpError if the API could not use them: better now than when all else has started."""
    try:
        return ApiSettings(
            host=settings.host, port=settings.port, redis_url=SecretStr(url), token_auth=SecretStr(token)
        )
    except ValidationError as error:
        raise UpError("; ".join(faults(error))) from None


def _require_urls(text: str) -> None:
    """Raise UpError on what the services would not take."""
    try:
        split_urls(text)
    except ValueError as error:
        raise UpError(f"EVAL_REDIS_URL {error}") from None


def _default_environment(state: Path) -> Path:
    """Where the packages of the default environment are: a link, which `evalctl packages` changes."""
    layers = Layers(state, bootstrap.ensure_environment(state))
    with bootstrap.locked(state):
        lost = layers.adopt()
    if lost:
        _say(f"the locked packages are others now; add yours again: evalctl packages add {shlex.join(lost)}")
    return layers.pointer


def _kept_token(file: Path) -> str:
    """Return the token in the file; makes one up the first time."""
    if file.exists() and (token := file.read_text().strip()):
        return token
    token = secrets.token_urlsafe(24)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as sink:
        sink.write(token + "\n")
    return token


async def _serve(plan: Plan, children_lock: int) -> int:
    started_at = time.monotonic()
    with contextlib.suppress(Interrupted):
        async with _supervised(children_lock) as supervisor:
            check_s = await supervisor.until(_boot(supervisor, plan))
            supervisor.ready = True
            _announce(plan, check_s=check_s, start_s=time.monotonic() - started_at)
            await _until_ended(supervisor, plan)
    _say("stopped")
    return 0


async def _until_ended(supervisor: Supervisor, plan: Plan) -> NoReturn:
    """Look after our own Redis meanwhile. Raises Interrupted, UpError."""
    if plan.server is None:
        await supervisor.until_ended()
    keeping = asyncio.create_task(shrinking.keep_small(plan.redis_url))
    try:
        await supervisor.until_ended()
    finally:
        # One cancellation may be lost in redis-py, and stopping would wait for the next look.
        await tail.stop(keeping)


@contextlib.asynccontextmanager
async def _supervised(children_lock: int) -> AsyncIterator[Supervisor]:
    """Supervise, and say so when the stopping begins."""
    async with Supervisor(inherit=(children_lock,), report=_say) as supervisor:
        try:
            yield supervisor
        finally:
            within = f"within {supervisor.patience_s:.0f} s"
            _say(f"stopping as soon as what runs has ended and is answered, {within}; Ctrl-C again stops at once")


async def _boot(supervisor: Supervisor, plan: Plan) -> float:
    """Start everything in order; returns the seconds that the self-check's eval took. Raises UpError."""
    _say(f"redis: {plan.redis_name}")
    await _start_redis(supervisor, plan)
    _say(f"starting {plan.workers} worker(s) and the API; their logs are in {plan.settings.run_dir}")
    coordinators = [_coordinator_child(plan, number) for number in range(1, _COORDINATORS + 1)]
    workers = (_worker_child(plan, number) for number in range(1, plan.workers + 1))
    # One group: the API waits for what workers run, so that neither may be stopped before the other is told.
    supervisor.start(*workers, _api_child(plan), *coordinators)
    async with httpx2.AsyncClient(base_url=plan.settings.own_url, trust_env=False, timeout=30) as http:
        await arrival.ready(http)
        await arrival.coordinators_work(
            split_urls(plan.redis_url)[0], lambda: [supervisor.pid(one.name) for one in coordinators]
        )
        return await arrival.self_check(http, plan.token)


async def _start_redis(supervisor: Supervisor, plan: Plan) -> None:
    log = None
    if plan.server is not None:
        valkey.prepare(plan.server)
        child = _redis_child(plan, plan.server)
        log = child.log
        supervisor.start(child)
    urls = split_urls(plan.redis_url)
    for url in urls:
        await arrival.redis_answers(url, log=log, report=_say)
    await arrival.rq_can_read(urls[0])


def _redis_child(plan: Plan, server: valkey.PrivateServer) -> ChildSpec:
    log = plan.settings.run_dir / "valkey.log"
    return ChildSpec(name="redis", argv=server.argv, env=child_environment(), log=log, grace_s=_SLACK_S)


def _worker_child(plan: Plan, number: int) -> ChildSpec:
    port = plan.settings.metrics_port
    env = _service_environment(plan) | {
        "EVAL_ENVIRONMENT_ROOT": str(plan.environment_root),
        "EVAL_METRICS_PORT": str(port + number - 1 if port else 0),
        "EVAL_DRAIN_S": str(plan.settings.drain_s),
    }
    return ChildSpec(
        name=f"worker-{number}",
        argv=_python("worker"),
        env=env,
        log=plan.settings.run_dir / f"worker-{number}.log",
        grace_s=plan.settings.drain_s + _SLACK_S,
        told_after_s=plan.api.drain_delay_s + _CLOSING_S,
    )


def _api_child(plan: Plan) -> ChildSpec:
    env = _service_environment(plan) | {"EVAL_HOST": plan.settings.host, "EVAL_PORT": str(plan.settings.port)}
    log = plan.settings.run_dir / "api.log"
    grace_s = plan.api.drain_delay_s + math.ceil(plan.api.queue_timeout_s + plan.api.max_timeout_s + GRACE_S) + _SLACK_S
    return ChildSpec(name="api", argv=_python("api"), env=env, log=log, grace_s=grace_s)


def _coordinator_child(plan: Plan, number: int) -> ChildSpec:
    log = plan.settings.run_dir / f"coordinator-{number}.log"
    argv = (sys.executable, *coordinator.COMMAND)
    return ChildSpec(
        name=f"coordinator-{number}", argv=argv, env=_service_environment(plan), log=log, grace_s=_SLACK_S
    )


def _python(module: str) -> tuple[str, ...]:
    # -P: a folder called `api` or `worker` where we were started is none of ours.
    return (sys.executable, "-P", "-m", module)


def _service_environment(plan: Plan) -> dict[str, str]:
    settings = plan.settings
    env = child_environment(EVAL_REDIS_URL=plan.redis_url, EVAL_STATE_DIR=str(settings.state_dir))
    # Several tokens may be set: the services get them all, we use the first.
    return env if settings.token else env | {"EVAL_TOKEN_AUTH": plan.token}


def _announce(plan: Plan, *, check_s: float, start_s: float) -> None:
    url, authorization = plan.settings.own_url, shlex.quote(f"Authorization: Bearer {plan.token}")
    body = shlex.quote(json.dumps(arrival.SELF_CHECK))
    print(f"\nEvalpool is up: {url}   (started in {start_s:.1f} s, self-check took {check_s * 1000:.1f} ms)")
    print(f"Token:          {plan.token}")
    print(f"\n  curl -s {url}/v1/eval -H {authorization} -H 'Content-Type: application/json' -d {body}")
    print("\nCtrl-C stops everything.", flush=True)


def _say(text: str) -> None:
    print(f"evalpool: {text}", file=sys.stderr, flush=True)


def with_port(settings: Settings, port: int | None) -> Settings:
    """Return settings with `--port` in place of `EVAL_PORT`."""
    return settings if port is None else replace(settings, port=port)
