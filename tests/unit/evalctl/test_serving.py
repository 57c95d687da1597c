"""Whom `evalctl image` asks what the workers of this machine serve."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from evalctl.images import serving
from evalctl.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Api(HTTPServer):
    """Serves one environment, and remembers who asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tokens: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers["Authorization"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"environments": [{"name": "default"}]}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def apis() -> Iterator[tuple[Api, Api]]:
    with Api() as here, Api() as far:
        threads = [Thread(target=api.serve_forever, args=[0.01]) for api in (here, far)]
        for thread in threads:
            thread.start()
        yield here, far
        for api, thread in zip((here, far), threads, strict=True):
            api.shutdown()
            thread.join()


def test_the_server_here_is_asked_whatever_eval_url_says(apis: tuple[Api, Api], tmp_path: Path) -> None:
    """What local workers serve was once asked of the server that EVAL_URL names."""
    here, far = apis
    (tmp_path / "token").write_text("kept\n")
    variables = {"EVAL_STATE_DIR": str(tmp_path), "EVAL_PORT": str(here.server_port)}
    settings = Settings.from_env(variables | {"EVAL_URL": f"http://127.0.0.1:{far.server_port}"})

    assert serving.environments(settings) == {"default": {"name": "default"}}
    assert (here.tokens, far.tokens) == (["Bearer kept"], [])
