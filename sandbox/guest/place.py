"""Where a zygote's programs stand and what is said to run them: set once, before the first fork."""

from __future__ import annotations

from typing import Any

DEVICES = ("null", "zero", "full", "random", "urandom")
"""In /dev of every cell; the machine's own."""

workdir = "/work"
filename = "main.py"
command = ["python3", "main.py"]
"""As the operator wrote it; a program sees it as `sys.orig_argv`."""
python = "python3"
"""The interpreter."""
origin = ""
"""Folder with what an image has in its working directory, to be linked there; "": nothing."""
programs: dict[str, list[str]] = {}
"""Of an environment whose programs are not Python's: by step, path and words of the command that a cell becomes."""
variables: dict[str, str] = {}
"""And what it finds in its environment, instead of what the zygote has."""
prelude: dict[str, Any] = {}
"""How its command is started before there is a program: "path", "command", "variables"; {}: not."""
root = ""
"""Folder that becomes a cell's root; "": it stays in the zygote's."""
links: dict[str, str] = {}
"""What every cell finds as if an earlier program had left it there: path -> what the link leads to."""
_NAMES = ("workdir", "filename", "command", "python", "origin", "programs", "variables", "prelude", "root", "links")


def settings() -> dict[str, Any]:
    """What `settle` takes, for another interpreter."""
    return {name: globals()[name] for name in _NAMES}


def settle(message: dict[str, Any]) -> None:
    """Take what the host tells a zygote."""
    globals().update({name: message[name] for name in _NAMES if name in message})
