"""Interpreters that can be started before their program is there, and the programs that can then run in them.

How it is done is told in `guest/prelude.py`. What a started interpreter cannot do as one that starts with the program
would (a variable that it reads when it starts, say) is done by a cell in which nothing was started.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandbox.environment import Environment
    from sandbox.spec import RunSpec

FOLDER = "/evalpool/preludes"
"""In the jail, and in the root of each cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prelude:
    """One interpreter's way to wait for its program, and what it can be told then."""

    programs: frozenset[str]
    """Names of the interpreter."""
    options: tuple[str, ...] = ()
    """Of its command line."""
    variables: Mapping[str, str] = field(default_factory=dict)
    settable: re.Pattern[str]
    """Variables of a request that it can be given then: it has not looked at them, and they mean nothing to it."""
    takes_args: bool = False
    merges_streams: bool = False
    upset_by: frozenset[str]
    """Variables of an environment under which the prelude does not run, or shows."""
    cells: int
    """Started interpreters that wait at a time, at most: each takes memory. Further cells execute their command."""

    def fits(self, spec: RunSpec) -> bool:
        """Whether a started interpreter runs `spec` as one that starts with it would."""
        return (
            not spec.strace
            and (self.takes_args or not spec.args)
            and (self.merges_streams or not spec.merge_streams)
            and all(map(self.settable.fullmatch, spec.env))
        )


PRELUDES = {
    "bash": Prelude(
        programs=frozenset({"bash"}),
        variables={"BASH_ENV": f"{FOLDER}/bash.sh"},
        settable=re.compile(
            r"(?!(?:BASH|SHELL|LANG|LC_|LD_|GLIBC_|MALLOC_|TZ|POSIX|IFS|PS\d|OPT|E?UID|PPID|S?RANDOM|SECONDS|EPOCH|LINENO"
            r"|GROUPS|DIRSTACK|FUNC|HIST|PIPESTATUS|COMP|COPROC|(?:OLD)?PWD|SHLVL|TERM|COLUMNS|LINES|IGNOREEOF|TMOUT|MAIL"
            r"|GLOB|EXECIGNORE|FIGNORE|INPUTRC|MAPFILE|READLINE|REPLY|TEXTDOMAIN|CHILD_MAX|PROMPT|HOST|MACH|OS|auto_resume"
            r"|hist|_$))[A-Za-z_][A-Za-z0-9_]*"
        ),
        merges_streams=True,
        upset_by=frozenset({"BASH_ENV", "ENV", "POSIXLY_CORRECT", "SHELLOPTS", "BASHOPTS", "BASH_COMPAT"}),
        cells=32,
    ),
    "node": Prelude(
        programs=frozenset({"node", "nodejs"}),
        options=("--require", f"{FOLDER}/node.js"),
        settable=re.compile(r"(?!NODE|LANG|LC_|LD_|GLIBC_|MALLOC_|TZ|UV_|ICU|SSL_|OPENSSL)[^=\0]+"),
        takes_args=True,
        upset_by=frozenset({"NODE_OPTIONS"}),
        cells=8,
    ),
}
"""By language."""


def prelude_of(command: Sequence[str], filename: str, variables: Mapping[str, str]) -> str:
    """Language of the prelude that a run command can be started with; "": none is known, or it has options."""
    if len(command) != 2 or command[1] != filename:  # noqa: PLR2004
        return ""
    for language, prelude in PRELUDES.items():
        if PurePosixPath(command[0]).name in prelude.programs and not prelude.upset_by & variables.keys():
            return language
    return ""


def started(environment: Environment, path: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """The `prelude` part of the boot message (see `guest.place`); `path` is that of the command's program."""
    if not environment.warm:
        return {}
    prelude, (program, *arguments) = PRELUDES[environment.warm], environment.command
    return {
        "path": path,
        "command": [program, *prelude.options, *arguments],
        "variables": {**variables, **prelude.variables},
    }


def words(language: str, spec: RunSpec, helper_pid: int) -> bytes:
    """What a prelude is told. It reads to the end, which is the helper's, and then makes sure that the helper is gone.

    A program must find nobody there, and have all of its processes for itself.
    """
    return _WORDS[language](spec, helper_pid)


def _bash(spec: RunSpec, helper_pid: int) -> bytes:
    lines = [b"exec 250<&- 251>&-" + (b" 2>&1" if spec.merge_streams else b"")]
    lines += [b"export %s=%s" % (name.encode(), _quoted(value)) for name, value in spec.env.items()]
    lines += [b"while kill -0 %d; do :; done 2> /dev/null" % helper_pid]
    return b"\n".join([*lines, b"return 7\n"])


def _quoted(value: str) -> bytes:
    """One word of a shell."""
    return b"'%s'" % os.fsencode(value).replace(b"'", b"'\\''")


def _node(spec: RunSpec, helper_pid: int) -> bytes:
    return json.dumps({"args": spec.args, "env": dict(spec.env), "helper": helper_pid}).encode()


_WORDS = {"bash": _bash, "node": _node}
