"""What the command line takes from the environment: the only file of this room that reads it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHECKOUT = Path(__file__).resolve().parent.parent
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared, not bound)


class SettingsError(ValueError):
    """A variable has a value that cannot be used; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of `evalctl`, as the environment has them."""

    state_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    url: str | None = None
    """A server elsewhere, for `evalctl run` and `evalctl batch`; None: the one on `host` and `port`."""
    token: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    drain_s: float = 20.0
    """How long a worker may finish what runs when it is told to stop: somebody waits in the terminal."""
    metrics_port: int = 0
    """Of the first worker, the others follow; 0: any free ones."""
    environment_root: Path | None = None
    """Use this default environment instead of the one in the state folder."""
    environments_file: Path | None = None
    """Where environments are written; None: `environments.toml` in the state folder."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the `EVAL_*` variables; an empty one counts as unset. Raises SettingsError."""
        tokens = [part.strip() for part in env.get("EVAL_TOKEN_AUTH", "").split(",")]
        root = env.get("EVAL_ENVIRONMENT_ROOT")
        return cls(
            state_dir=Path(env.get("EVAL_STATE_DIR") or _default_state_dir()).absolute(),
            host=env.get("EVAL_HOST") or "127.0.0.1",
            port=_port("EVAL_PORT", env.get("EVAL_PORT") or "8000", lowest=1),
            url=(env.get("EVAL_URL") or "").rstrip("/") or None,
            token=next(filter(None, tokens), None),
            redis_url=env.get("EVAL_REDIS_URL") or None,
            drain_s=_seconds("EVAL_DRAIN_S", env.get("EVAL_DRAIN_S") or "20"),
            metrics_port=_port("EVAL_METRICS_PORT", env.get("EVAL_METRICS_PORT") or "0", lowest=0),
            environment_root=Path(root) if root else None,
            environments_file=Path(file) if (file := env.get("EVAL_ENVIRONMENTS_FILE")) else None,
        )

    @property
    def environments_path(self) -> Path:
        """Where environments are written."""
        return self.environments_file or self.state_dir / "environments.toml"

    @property
    def run_dir(self) -> Path:
        """Sockets, logs and data of what `evalctl up` starts."""
        return self.state_dir / "run"

    @property
    def token_file(self) -> Path:
        """Where `evalctl up` keeps the token that it made up."""
        return self.state_dir / "token"

    @property
    def base_url(self) -> str:
        """The server that evals and batches are sent to, without a slash at its end."""
        return self.url or self.own_url

    @property
    def own_url(self) -> str:
        """The server on this state folder, which `evalctl up` starts: whatever `EVAL_URL` says."""
        host = _WILDCARD.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def known_token(self) -> str | None:
        """Return the token to send to `base_url`; the one that `evalctl up` keeps never goes elsewhere."""
        return self.token if self.url else self.own_token()

    def own_token(self) -> str | None:
        """Return the token to send to `own_url`: from the environment, else the one that `evalctl up` keeps, if any."""
        if self.token:
            return self.token
        return self.token_file.read_text().strip() if self.token_file.exists() else None


def is_loopback(host: str) -> bool:
    """Whether a host name in a URL is this machine."""
    return host in _LOOPBACK or host.startswith("127.")


def child_environment(**variables: str) -> dict[str, str]:
    """Environment of a child process: ours, and these on top."""
    return {**os.environ, **variables}


def _default_state_dir() -> Path:
    """Beside the sources in a checkout; in the current folder for an installed package."""
    base = _CHECKOUT if (_CHECKOUT / "pyproject.toml").exists() else Path.cwd()
    return base / ".evalpool"


def _port(name: str, text: str, *, lowest: int) -> int:
    if not text.isdecimal() or not lowest <= int(text) < 1 << 16:
        raise SettingsError(f"{name} must be a port number, not {text!r}")
    return int(text)


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SettingsError(f"{name} must be a number of seconds above zero, not {text!r}")
    return value
