"""What an operator may set for the processes that coordinate batches: `EVAL_...` variables."""

from __future__ import annotations

from pydantic import PositiveInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.batches.archive import require_known
from jobs.connect import split_urls


class CoordinatorSettings(BaseSettings):
    """Settings of one `rq worker`. Raises pydantic's ValidationError, which names the setting."""

    model_config = SettingsConfigDict(env_prefix="EVAL_", frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    """Where the lanes, the batches and (on the first) RQ's queue are. Secret, because it may hold a password."""
    batch_store: SecretStr | None = None
    """fsspec URL that batches are spilled to; none: they stay in Redis."""
    result_ttl_s: PositiveInt = 3600
    """How long the results of a batch are kept after its end."""

    @field_validator("redis_url")
    @classmethod
    def _known_schemes(cls, url: SecretStr) -> SecretStr:
        split_urls(url.get_secret_value())
        return url

    @field_validator("batch_store")
    @classmethod
    def _known_store(cls, url: SecretStr | None) -> SecretStr | None:
        if url:
            require_known(url.get_secret_value())
        return url
