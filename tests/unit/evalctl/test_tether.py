"""What runs beside a service steps back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from evalctl.tether import tethered

CODE = """
import json, os
named = open("/proc/self/autogroup").read().split() if os.path.exists("/proc/self/autogroup") else []
group = named[-1] if named else None  # the session that the machine began with belongs to none
print(json.dumps([os.getpriority(os.PRIO_PROCESS, 0), group, os.environ.get("GOMAXPROCS"), os.getsid(0)]))
"""


def test_a_command_in_the_background_lets_everybody_else_go_first() -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    said = [
        json.loads(subprocess.check_output(tethered([sys.executable, "-c", CODE], background=background)))
        for background in (False, True)
    ]
    front, back = said

    assert (front[0], front[3], front[2]) == (ours, os.getsid(0), os.environ.get("GOMAXPROCS"))
    assert (back[0], back[3] != os.getsid(0)) == (19, True)
    assert back[2] == os.environ.get("GOMAXPROCS", "1")
    if Path("/proc/self/autogroup").exists():
        assert back[1] in ("19", None)
