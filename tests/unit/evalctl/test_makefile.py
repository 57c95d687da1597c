"""What `make` tells others: the state folder, whatever its name, and what it installs."""

from __future__ import annotations

import os
import subprocess

import pytest

from evalctl.bootstrap import CHECKOUT


def would_run(target: str, *words: str, **variables: str) -> str:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("EVAL_", "MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", "-n", target, *words]
    done = subprocess.run(command, cwd=CHECKOUT, env=ours | variables, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("/else/where", "/else/where"),
        ("/two words/and  more", "/two words/and  more"),
        ("a b/../c = d", f"{CHECKOUT}/c = d"),
        ("", f"{CHECKOUT}/.evalpool"),
    ],
)
def test_the_state_folder_is_the_one_that_evalctl_means(said: str, meant: str) -> None:
    """A folder with a blank in its name once became two others, in which nobody looked."""
    for commands in (would_run("up", EVAL_STATE_DIR=said), would_run("up", f"EVAL_STATE_DIR={said}")):
        assert f'-m evalctl.bootstrap "{meant}" ' in commands
        assert f'exec "{meant}/venv/bin/evalctl" up' in commands


def test_the_doctor_installs_nothing_where_it_can_run() -> None:
    """It once made the venv anew below a service that ran from it."""
    commands = would_run("doctor")

    assert "--environment" not in commands
    assert "python\" -c 'import redis, rich, typer' 2>/dev/null || exec" in commands
