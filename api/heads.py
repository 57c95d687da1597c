"""HEAD: what GET would answer, without its body. No route needs to know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Sent(Exception):  # noqa: N818
    """The head is out: the rest, which may be a stream of hours, need not be made."""


class Heads:
    """ASGI middleware for HEAD requests only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the app as by GET, until its head is sent."""

        async def headed(message: Message) -> None:
            await send(message)
            await send({"type": "http.response.body"})
            raise _Sent

        # A copy: the server goes by its own when it leaves the body out.
        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, headed)
        except _Sent:
            pass
        finally:
            scope["route"] = asked.get("route")
