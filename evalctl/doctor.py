"""`evalctl doctor`: what stands on this machine, what does not, and the command that mends it."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from evalctl import bootstrap, valkey
from evalctl.guards import UpError, require_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from evalctl.settings import Settings

_DISK_WARN_BYTES, _DISK_FAIL_BYTES = 2 << 30, 256 << 20
_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}


class Level(StrEnum):
    """How bad it is."""

    PASS = "PASS"  # noqa: S105 (no password)
    WARN = "WARN"
    """It works, with less speed or a wall fewer."""
    FAIL = "FAIL"
    """It does not work."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding."""

    name: str
    level: Level
    detail: str
    fix: str = ""
    """Command or sentence that mends it."""


def doctor(settings: Settings, *, as_json: bool) -> int:
    """Print every check; returns 1 if one fails."""
    checks = [*_own_checks(settings), *_walls()]
    if as_json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        Console(highlight=False).print(_table(checks))
    return int(any(check.level is Level.FAIL for check in checks))


def _own_checks(settings: Settings) -> Iterator[Check]:
    yield _python()
    yield _redis(settings)
    yield _port(settings)
    yield _disk(settings.state_dir)
    yield _environment(settings)


def _walls() -> Iterator[Check]:
    """Ask the sandbox about this machine."""
    try:
        probe = importlib.import_module("sandbox.host.probe").probe
    except ModuleNotFoundError:
        yield Check(name="sandbox", level=Level.WARN, detail="this build cannot probe the sandbox's walls")
        return
    for wall in probe():
        yield Check(name=wall.name, level=Level(wall.level.upper()), detail=wall.detail, fix=wall.fix or "")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    level = Level.PASS if sys.version_info >= (3, 11) else Level.FAIL
    return Check(name="python", level=level, detail=f"{version} ({sys.base_prefix})", fix="install Python >= 3.11")


def _redis(settings: Settings) -> Check:
    if settings.redis_url:
        return Check(name="redis", level=Level.PASS, detail="the one in EVAL_REDIS_URL")
    choice = valkey.choose_server()
    if choice.version == "?":
        return Check(
            name="redis",
            level=Level.FAIL,
            detail=f"{choice.path} does not start",
            fix="apt install redis-server, or set EVAL_REDIS_URL",
        )
    return Check(name="redis", level=Level.PASS, detail=f"{choice} ({choice.path})")


def _port(settings: Settings) -> Check:
    where = f"{settings.host} port {settings.port}"
    try:
        require_free_port(settings.host, settings.port)
    except UpError:
        return Check(
            name="port",
            level=Level.WARN,
            detail=f"{where} is in use (by a running Evalpool?)",
            fix="EVAL_PORT=8001",
        )
    return Check(name="port", level=Level.PASS, detail=f"{where} is free")


def _disk(state_dir: Path) -> Check:
    existing = next(folder for folder in (state_dir, *state_dir.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    level = Level.FAIL if free < _DISK_FAIL_BYTES else Level.WARN if free < _DISK_WARN_BYTES else Level.PASS
    return Check(
        name="disk",
        level=level,
        detail=f"{free / (1 << 30):.1f} GiB free at {state_dir}",
        fix="" if level is Level.PASS else "free some space, or set EVAL_STATE_DIR to another disk",
    )


def _environment(settings: Settings) -> Check:
    root = settings.environment_root or bootstrap.environment_root(settings.state_dir)
    if (root / "bin" / "python").exists():
        return Check(name="environment", level=Level.PASS, detail=str(root))
    return Check(name="environment", level=Level.WARN, detail=f"{root} is not installed yet", fix="make setup")


def _table(checks: list[Check]) -> Table:
    table = Table("", "check", box=None, pad_edge=False)
    table.add_column("finding", overflow="fold")
    table.add_column("mend it with", overflow="fold")
    for check in checks:
        colour = _COLOURS[check.level]
        fix = "" if check.level is Level.PASS else check.fix
        table.add_row(f"[{colour}]{check.level}[/]", check.name, check.detail, fix)
    return table
