from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from processes import eventually
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from evalctl import valkey

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, name: str, says: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_a_valkey_on_path_comes_before_a_redis(on_path: Path) -> None:
    program(on_path, "redis-server", "Redis server v=7.2.4 sha=00000000:0 malloc=libc bits=64")
    wanted = program(on_path, "valkey-server", "Valkey server v=8.0.1 sha=00000000:0 malloc=libc bits=64")

    assert valkey.choose_server() == valkey.Server(name="valkey-server", version="8.0.1", path=wanted)


@pytest.mark.parametrize("says", ["Redis server v=6.2.14 sha=0", "", "something else"])
def test_a_server_that_is_too_old_or_says_no_version_is_passed_over(on_path: Path, says: str) -> None:
    program(on_path, "redis-server", says)

    assert valkey.choose_server().name == "bundled valkey"


@pytest.mark.usefixtures("on_path")
def test_the_bundled_server_is_there_and_new_enough() -> None:
    server = valkey.choose_server()

    assert server.path.is_file()
    assert int(server.version.split(".")[0]) >= valkey.OLDEST_MAJOR


@pytest.mark.parametrize("folder", ["run", 'blank, = and "quotes" 100% #1 ü', "deep/" * 30])
def test_any_state_folder_can_hold_the_server(tmp_path: Path, folder: str) -> None:
    run_dir = tmp_path / folder
    private = valkey.private_server(valkey.choose_server(), run_dir)
    valkey.prepare(private)
    with subprocess.Popen(private.argv, stdout=subprocess.DEVNULL) as server:
        try:
            with Redis.from_url(private.url) as redis:
                assert eventually(lambda: answers(redis))
                assert redis.config_get("maxmemory-policy", "appendonly", "save") == {
                    "maxmemory-policy": "noeviction",
                    "appendonly": "yes",
                    "save": "",
                }
                assert int(redis.config_get("maxmemory")["maxmemory"]) >= 256 << 20
                # RQ asks for it as it starts: a blank or a = in the address once kept every coordinator from starting.
                assert redis.client_info()["addr"]
        finally:
            server.terminate()

    fits = len(os.fsencode(run_dir / "valkey.sock")) <= 107
    assert private.url.startswith("unix:" if fits else "redis:")


@pytest.mark.parametrize(("run", "way"), [("run", "../run/valkey.sock"), ("my run", None)])
def test_data_on_another_disk_may_lie_behind_a_link(tmp_path: Path, run: str, way: str | None) -> None:
    """The server's way to its socket starts where its data really is; where RQ could not read it, it is a port."""
    server, run_dir = valkey.choose_server(), tmp_path / run
    for folder in (run_dir, tmp_path / "disk"):
        folder.mkdir()
    (run_dir / server.name.replace(" ", "-")).symlink_to(tmp_path / "disk")
    private = valkey.private_server(server, run_dir)

    assert private.url.startswith("unix:" if way else "redis:")
    assert f"unixsocket {way}\n" in private.config_text or way is None


def test_a_server_on_a_port_lets_nobody_in_without_the_password(tmp_path: Path) -> None:
    private = valkey.private_server(valkey.choose_server(), tmp_path / ("d" * 120))
    valkey.prepare(private)
    stranger = Redis(port=int(private.url.rpartition(":")[2].split("/")[0]), retry=None)
    with subprocess.Popen(private.argv, stdout=subprocess.DEVNULL) as server, stranger:
        try:
            assert eventually(lambda: refuses(stranger))
        finally:
            server.terminate()

    assert private.config.stat().st_mode & 0o077 == 0
    assert "redis://" not in repr(private)


def answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


def refuses(redis: Redis) -> bool:
    try:
        redis.ping()
    except AuthenticationError:
        return True
    except RedisConnectionError:
        return False
    return False
