"""A batch store that cannot be used is told when a process starts, not when the first batch comes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from evalctl import coordinator
from jobs.batches.archive import require_known

COMMANDS = {"api": ("-P", "-m", "api"), "coordinator": coordinator.COMMAND}


@pytest.mark.parametrize("url", ["/a/folder", "file:///a/folder", "memory://x", "simplecache::file:///a"])
def test_what_is_here_can_be_used(url: str) -> None:
    require_known(url)


@pytest.mark.parametrize("url", ["foo://key:secret@x/y", "foo::file:///a", "simplecache::foo://x"])
def test_what_is_not_is_named_without_its_secrets(url: str) -> None:
    with pytest.raises(ValueError, match=r"^cannot be used: Protocol not known: foo$"):
        require_known(url)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_ends_with_2_and_names_the_setting(name: str) -> None:
    """It was a traceback, and 1: `up` started it again and again."""
    environment = os.environ | {"EVAL_BATCH_STORE": "foo://key:secret@x/y", "EVAL_REDIS_URL": "unix:///nobody"}
    command = [sys.executable, *COMMANDS[name]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{name}: EVAL_BATCH_STORE: cannot be used: Protocol not known: foo\n"
