"""`evalctl run`: a program runs there, and it looks as if it ran here: its output, its files, its exit code.

Exit codes: the program's own; 124 it ran out of time; 123 it wrote too much; 137 it ran out of memory;
128 + N it was killed by signal N; 125 it got no result (server out of reach, request refused, cancelled,
our fault).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import re
import sys
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from evalctl.client import EvalFailed, Output, Restarted, Result, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalctl.settings import Settings

NO_RESULT = 125
_EXIT_CODES = {"timeout": 124, "output": 123, "memory": 137}
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class RunUsageError(ValueError):
    """The command line cannot be carried out; the message names the option."""


def run(settings: Settings, request: Mapping[str, Any], *, as_json: bool, output_dir: Path) -> int:
    """Run one eval and pass its output on; returns the exit code for our own process."""
    try:
        with closing(evaluate(settings.base_url, settings.known_token(), request)) as events:
            for event in events:
                if isinstance(event, Result):
                    return _finish(event, as_json=as_json, output_dir=output_dir)
                if isinstance(event, Restarted):
                    _note("the program was started again; what it wrote so far does not count")
                elif not as_json:
                    _write(event)
    except EvalFailed as error:
        _note(str(error))
    except BrokenPipeError:
        # Whoever read our output has gone: leave as `cat` would, and keep Python from flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return NO_RESULT


def exit_code(body: Mapping[str, Any]) -> int:
    """Exit code that stands for a result."""
    status, signal = body.get("status"), body.get("signal")
    if status in _EXIT_CODES:
        return _EXIT_CODES[status]
    if status in {"ok", "error"} and isinstance(body.get("exit_code"), int):
        return int(body["exit_code"]) & 0xFF
    if status == "killed" and isinstance(signal, int):
        return 128 + signal
    return NO_RESULT


def size(text: str) -> int:
    """Bytes of `64M`, `1g`, `2GiB` or `1048576`. Raises RunUsageError."""
    match = re.fullmatch(r"(\d+)\s*([kmg]?)(?:i?b)?", text.strip().lower())
    if not match or not int(match[1]):
        raise RunUsageError(f"--memory takes a size such as 256M, not {text!r}")
    return int(match[1]) * _UNITS[match[2]]


def seconds(value: float) -> float:
    """Give the wall time that was asked for. Raises RunUsageError if it is none."""
    if not 0 < value < math.inf:
        raise RunUsageError(f"--timeout takes a number of seconds above zero, not {value:g}")
    return value


def files(arguments: list[str]) -> dict[str, str | dict[str, str]]:
    """`PATH` or `NAME=PATH` -> the files of a request. Raises RunUsageError."""
    found: dict[str, str | dict[str, str]] = {}
    for argument in arguments:
        name, _, source = argument.rpartition("=")
        path = Path(source)
        try:
            found[name or _natural_name(path)] = _content(path.read_bytes())
        except OSError as error:
            raise RunUsageError(f"--file {argument}: {error.strerror}") from None
    return found


def _natural_name(path: Path) -> str:
    """Name a file: a path below the current folder keeps its folders, any other only its last part."""
    inside = not path.is_absolute() and ".." not in path.parts
    return path.as_posix() if inside else path.name


def _content(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _finish(result: Result, *, as_json: bool, output_dir: Path) -> int:
    body = result.body
    if as_json:
        print(json.dumps(body, indent=2))
        return exit_code(body)
    if not result.streamed:
        for stream in ("stdout", "stderr"):
            _write(Output(stream, str(body.get(stream, ""))))
    for stream in ("stdout", "stderr"):
        if body.get(f"{stream}_truncated"):
            _note(f"{stream} was cut")
    compiled = body.get("compile") or {}
    for stream in ("stdout", "stderr"):
        _write(Output("stderr", str(compiled.get(stream, ""))))
    if body.get("status") not in {"ok", "error"}:
        _note(" ".join(str(part) for part in (body.get("status"), body.get("message")) if part))
    figures = {f"figure-{number}.png": figure for number, figure in enumerate(body.get("figures") or [], 1)}
    _save(figures | (body.get("files") or {}), output_dir)
    return exit_code(body)


def _save(brought: Mapping[str, Any], output_dir: Path) -> None:
    """Write the files that came back. Their names are the program's choice: none may leave the folder."""
    root = output_dir.resolve()
    for name, content in brought.items():
        target = (root / PurePosixPath(name)).resolve()
        if not target.is_relative_to(root) or target == root:
            _note(f"not written, it would leave the folder: {name!r}")
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(base64.b64decode(content["base64"], validate=True))
        except (OSError, binascii.Error, KeyError, TypeError) as error:
            _note(f"not written: {name!r}: {error}")


def _write(output: Output) -> None:
    sink = sys.stdout if output.stream == "stdout" else sys.stderr
    sink.buffer.write(output.text.encode(errors="replace"))
    sink.buffer.flush()


def _note(text: str) -> None:
    print(f"evalctl: {text}", file=sys.stderr, flush=True)
