"""Languages that an operator names in two lines: file, commands and limits of each."""

from __future__ import annotations

from dataclasses import replace

from sandbox.config import CellLimits
from sandbox.environment import Environment, Kind, Tier

EXEC_TIERS = (Tier(name="exec", preload=()),)
_BASE = Environment(kind=Kind.EXEC, tiers=EXEC_TIERS)
_C = '#include <stdio.h>\nint main(void) { puts("ok"); return 0; }\n'

PRESETS = {
    "bash": replace(_BASE, name="bash", filename="main.sh", command=("bash", "main.sh"), warm="bash", trial="echo ok"),
    "node": replace(
        _BASE,
        name="node",
        filename="main.js",
        command=("node", "main.js"),
        warm="node",
        trial="console.log('ok')",
        limits=CellLimits(processes=64),  # one node has eleven threads
    ),
    "c": replace(
        _BASE,
        name="c",
        filename="main.c",
        compile=("gcc", "-O2", "-o", "main", "main.c", "-lm"),
        binary="main",
        command=("./main",),
        trial=_C,
    ),
    "cpp": replace(
        _BASE,
        name="cpp",
        filename="main.cpp",
        compile=("g++", "-O2", "-o", "main", "main.cpp"),
        binary="main",
        command=("./main",),
        trial=_C,
    ),
}
"""By name. Each needs its toolchain where it runs: on the host, or in an image."""
