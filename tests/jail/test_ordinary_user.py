"""The same walls for a service that is no root: the tests of the wall once more, as an ordinary user."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SUITES = [HERE, HERE.parent / "escape", HERE.parent / "fidelity"]
WITHOUT = "not lib_memfd"
"""No cgroup counts an ordinary user's memory, so what no watch can see is absent."""
AT_LEAST = 300

pytestmark = [pytest.mark.jail, pytest.mark.timeout(600)]


@pytest.mark.skipif(os.geteuid() != 0, reason="this is the ordinary user")
def test_the_wall_stands_for_an_ordinary_user() -> None:
    command = [sys.executable, HERE.parent / "as_user.py", "-q", "-m", "jail", "-k", WITHOUT, *SUITES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    passed = re.search(r"(\d+) passed", done.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert passed is not None
    assert int(passed[1]) >= AT_LEAST
