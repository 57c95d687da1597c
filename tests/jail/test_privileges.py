"""The least privilege of docs/privileges.md is enough: the sandbox once more, as a container would confine a worker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DEPLOY = HERE.parent.parent / "deploy/seccomp"
AT_LEAST = 8

pytestmark = pytest.mark.jail


def test_the_profile_is_the_one_that_the_policy_makes() -> None:
    made = subprocess.run([sys.executable, DEPLOY / "make.py"], capture_output=True, text=True, check=True).stdout

    assert json.loads((DEPLOY / "worker.json").read_text()) == json.loads(made), "python deploy/seccomp/make.py"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give privileges up")
def test_a_sandbox_needs_no_more_than_is_documented() -> None:
    """What is there in a cell, and what programs use, with two capabilities or none and the profile in force."""
    tests = ["-q", "-k", "rlimits and (facts or works_behind)", HERE / "test_cell.py"]
    started = [
        subprocess.Popen(
            [sys.executable, HERE.parent / "confined.py", identity, *tests], stdout=subprocess.PIPE, text=True
        )
        for identity in ("root", "rootless", "user")
    ]
    for process in started:
        said, _ = process.communicate(timeout=100)
        passed = re.search(r"(\d+) passed", said)

        assert process.returncode == 0, said
        assert passed is not None
        assert int(passed[1]) >= AT_LEAST
