"""What an operator may set for a worker: `EVAL_...` variables, read once, frozen; no repr shows a secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.connect import split_urls


class WorkerSettings(BaseSettings):
    """Settings of one worker process. Raises pydantic's ValidationError, which names the setting."""

    model_config = SettingsConfigDict(env_prefix="EVAL_", frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Where the lanes are: one URL, or several, separated by commas. Secret, because it may hold a password."""
    state_dir: Path = Path(".evalpool")
    """The worker keeps its jails under `run/` here."""
    environment_root: Path | None = None
    """Virtual environment of the default environment; none: the bare interpreter, no packages."""
    environments_file: Path | None = None
    """Further environments, and what the default one has of its own; none: `environments.toml` in the state folder."""
    filename: str = ""
    """File that a program of the default environment becomes; none: as the file has it, else `main.py`."""
    run_command: str = ""
    """What runs it; none: as the file has it, else `python3 main.py`."""
    env: str = ""
    """Variables of its programs: a JSON object, or `NAME=VALUE` words as in a shell."""
    slots: PositiveInt = Field(default_factory=lambda: max(8, 8 * (os.cpu_count() or 1)))
    """Programs that run at the same time. Their memory limits may add up to more than the machine has."""
    starts: PositiveInt = Field(default_factory=lambda: max(4, 2 * (os.cpu_count() or 1)))
    """Of these, how many may be younger than 100 ms: more would only slow each other down."""
    warm: NonNegativeInt = 0
    """Warm cells of all environments' first tiers together, half as many in other tiers; 0: as many as `starts`."""
    shared_bytes: PositiveInt = 128 << 20
    """Programs of `/v1/judge` kept between their cases. What runs at the moment is held besides."""
    cgroups: bool = True
    """Limit memory and processes by cgroups where they are writable."""
    zygote_cells: PositiveInt = 20_000
    zygote_age_s: PositiveFloat = 3600.0
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port of /metrics, /healthz and /readyz; 0 takes a free one."""
    drain_s: PositiveFloat = 75.0
    """On SIGTERM: how long running programs may finish before they are given back."""
    result_ttl_s: PositiveInt = 3600
    """How long a stored result is kept; the same as the API's."""
    sandbox: Literal["nsjail", "noop"] = "nsjail"
    """`noop` runs nothing and answers at once: for measuring the queue, never for service."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("redis_url")
    @classmethod
    def _usable(cls, url: SecretStr) -> SecretStr:
        split_urls(url.get_secret_value())
        return url

    @property
    def environments_path(self) -> Path:
        """Where the environments are written, if anywhere."""
        return self.environments_file or self.state_dir / "environments.toml"

    @property
    def images_dir(self) -> Path:
        """Folder of unpacked images."""
        return self.state_dir.absolute() / "images"
