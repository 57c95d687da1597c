"""`python -m api`: read settings, wire objects, serve; nothing else."""

from __future__ import annotations

import sys

import structlog
import uvloop
from pydantic import ValidationError

from api.app import create_app
from api.server import Server
from api.settings import ApiSettings
from jobs.connect import split_urls
from jobs.logs import configure
from jobs.settings import BrokerSettings
from jobs.shards import close_all, inbox_of, open_all, submitter_of
from jobs.startup import faults

USAGE_ERROR = 2


async def serve(settings: ApiSettings) -> None:
    """Serve until a signal says stop."""
    opened = open_all(split_urls(settings.redis_url.get_secret_value()))
    broker = BrokerSettings(result_ttl_s=settings.result_ttl_s)
    submitter, inbox = submitter_of(opened, broker), inbox_of(opened, broker)
    log = structlog.get_logger("api")
    log.info("api_started", host=settings.host, port=settings.port, redis=[one.address for one in opened])
    try:
        await Server(create_app(settings, submitter, inbox), settings).serve()
    finally:
        await close_all(opened)
        log.info("api_stopped")


def main() -> int:
    """Exit codes: 0 after a drain, 2 for settings that cannot be used, 3 for an address that cannot be bound."""
    try:
        settings = ApiSettings()
    except ValidationError as error:
        sys.stderr.writelines(f"api: {fault}\n" for fault in faults(error))
        return USAGE_ERROR
    configure(settings.log_level)
    uvloop.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
