"""What an operator may set for the API: `EVAL_...` variables, read once, frozen; no repr shows a secret."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.shape import MOST_ELEMENTS, MOST_MEMBERS
from jobs.batches.archive import require_known
from jobs.connect import split_urls

MIB = 1 << 20


class ApiSettings(BaseSettings):
    """Settings of one api process. Raises pydantic's ValidationError, which names the setting."""

    model_config = SettingsConfigDict(env_prefix="EVAL_", frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Where the lanes are: one URL, or several, separated by commas. Secret, because it may hold a password."""
    host: str = "127.0.0.1"
    """Address to bind. Anything but loopback needs `token_auth`."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    keep_alive_s: PositiveInt = 75
    """How long an idle connection is kept: longer than by a proxy before us, so that none sends on a closed one."""
    token_auth: SecretStr = SecretStr("")
    """Bearer tokens, comma-separated. Empty: no token is asked for, and only loopback is served."""
    default_timeout_s: PositiveFloat = 10.0
    max_timeout_s: PositiveFloat = 60.0
    """Above it a request is refused, not clamped."""
    default_memory_bytes: PositiveInt = 256 * MIB
    max_memory_bytes: PositiveInt = 1024 * MIB
    max_body_bytes: PositiveInt = 32 * MIB
    max_code_bytes: PositiveInt = MIB
    max_stdin_bytes: PositiveInt = 8 * MIB
    max_files: Annotated[int, Field(ge=1, le=MOST_MEMBERS)] = 1_000
    max_files_bytes: PositiveInt = 16 * MIB
    """All submitted files together, decoded."""
    output_bytes: PositiveInt = MIB
    """Bound of stdout and of stderr, each."""
    max_cases: Annotated[int, Field(ge=1, le=MOST_ELEMENTS)] = 1_000
    """Of one judge request."""
    judge_window: PositiveInt = 16
    """Cases of one judge request that wait or run at the same time."""
    judge_output_bytes: PositiveInt = 16 << 10
    """Of a case's stdout and stderr, each, how much the answer shows; the comparison sees all of it."""
    max_judge_s: PositiveFloat = 600.0
    """Longest that a judge request takes. What has not run by then has no verdict."""
    queue_timeout_s: PositiveFloat = 30.0
    """How long a job may wait before it runs: its deadline is this plus its own time limit from now."""
    batch_items: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000
    """Most items of one batch."""
    batch_bytes: PositiveInt = 256 * MIB
    """Bound of a batch's body, decompressed."""
    batch_result_bytes: PositiveInt = 1024 * MIB
    """Results of a batch over this sum are recorded without most of their output."""
    batch_timeout_s: PositiveFloat = 24 * 3600.0
    """An item that has not run so long after the batch's upload began is not run any more."""
    batches_per_token: PositiveInt = 20
    """Open batches of one token; more is 429."""
    items_per_token: PositiveInt = 1_000_000
    """Items in all open batches of one token; more is 429."""
    batch_store: SecretStr | None = None
    """fsspec URL that batches are spilled to; none: they stay in Redis. Secret, because it may hold a password."""
    result_ttl_s: PositiveInt = 3600
    """How long a stored result is kept, and a batch after its end."""
    webhook_secret: SecretStr = SecretStr("")
    """Signs webhooks; without it a batch cannot have one."""
    webhook_allow_private: bool = False
    """Let webhooks go to private, loopback and link-local addresses."""
    webhook_patience_s: PositiveFloat = 3600.0
    """How long a webhook that fails is tried again."""
    drain_delay_s: Annotated[float, Field(ge=0)] = 0.0
    """On SIGTERM: how long /readyz says 503 before the socket closes (load balancers need a few seconds)."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def tokens(self) -> tuple[str, ...]:
        """The bearer tokens that are let in."""
        return tuple(token for part in self.token_auth.get_secret_value().split(",") if (token := part.strip()))

    @field_validator("redis_url")
    @classmethod
    def _usable(cls, url: SecretStr) -> SecretStr:
        split_urls(url.get_secret_value())
        return url

    @field_validator("batch_store")
    @classmethod
    def _known_store(cls, url: SecretStr | None) -> SecretStr | None:
        if url:
            require_known(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not self.tokens and not _is_loopback(self.host):
            raise ValueError(
                f"EVAL_HOST={self.host} can be reached from elsewhere: set EVAL_TOKEN_AUTH, or bind 127.0.0.1"
            )
        if self.default_timeout_s > self.max_timeout_s or self.default_memory_bytes > self.max_memory_bytes:
            raise ValueError("a default limit is above its maximum (EVAL_DEFAULT_..., EVAL_MAX_...)")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
