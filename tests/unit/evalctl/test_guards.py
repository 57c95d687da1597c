from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from evalctl.guards import UpError, require_free_port, sole_owner

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_start_on_one_state_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with sole_owner(tmp_path), pytest.raises(UpError, match=r"^Evalpool already runs on [^\n]*$"), sole_owner(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_one_sentence_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UpError, match=r"^[^\n]*cannot be written to[^\n]*EVAL_STATE_DIR$"), sole_owner(file):
        pass


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with sole_owner(tmp_path):
            pass


def test_a_start_waits_for_the_children_of_a_killed_one(tmp_path: Path) -> None:
    with sole_owner(tmp_path) as lock:
        child_holds = os.dup(lock)
    with pytest.raises(UpError, match="still ending"), sole_owner(tmp_path, patience_s=0.2):
        pass
    os.close(child_holds)

    with sole_owner(tmp_path, patience_s=0.2):
        pass


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UpError, match=f"127.0.0.1 port {port} .*Address already in use.*--port or EVAL_PORT"):
            require_free_port("127.0.0.1", port)

    require_free_port("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(UpError, match=r"cannot listen on 192\.0\.2\.1"):
        require_free_port("192.0.2.1", 8000)
