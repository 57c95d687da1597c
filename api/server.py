"""The HTTP server of one api process: uvicorn, which on SIGTERM first says so on /readyz and then drains."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import uvicorn

from api.protocol import BoundedProtocol
from api.waiting import GRACE_S

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from fastapi import FastAPI

    from api.settings import ApiSettings


class Server(uvicorn.Server):
    """Drains: readiness off, a pause for load balancers, no new connections, every wait answered, exit 0."""

    def __init__(self, app: FastAPI, settings: ApiSettings) -> None:
        longest_s = settings.queue_timeout_s + settings.max_timeout_s + GRACE_S
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                loop="uvloop",
                http=BoundedProtocol,
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                backlog=4096,
                timeout_keep_alive=settings.keep_alive_s,
                timeout_graceful_shutdown=math.ceil(longest_s),
            )
        )
        self._state, self._delay_s = app.state, settings.drain_delay_s
        self._close_at = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (uvicorn's signature)
        """Set flags only: this runs in a signal handler. A second signal does not wait."""
        if self._state.draining:
            self.should_exit = self.force_exit = True
        self._state.draining = True
        self._close_at = min(self._close_at, time.monotonic() + self._delay_s)

    async def on_tick(self, counter: int) -> bool:
        """Ask, ten times a second, whether it is time to stop."""
        if time.monotonic() >= self._close_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain. Who follows a batch goes on elsewhere: not sooner, for until now we might have got them again."""
        self._state.closing = True
        await super().shutdown(sockets)
