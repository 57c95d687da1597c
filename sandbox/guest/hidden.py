"""Code objects whose frames a program does not see below its own.

CPython (3.11 and newer) takes a frame for not yet begun until its RESUME instruction, and shows it nowhere: not in
`sys._getframe`, `f_back`, tracebacks, warnings, `inspect`. So code without that instruction runs unseen. Older
versions ignore all this; there our frames show.
"""

from __future__ import annotations

import opcode
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

F = TypeVar("F", bound="Callable[..., Any]")


def hide(code: CodeType) -> CodeType:
    """`code`, running unseen. It must not run user code that leaves a trace function in place when it raises."""
    if "RESUME" not in opcode.opmap:
        return code
    instructions = bytearray(code.co_code)
    for at in range(0, len(instructions), 2):
        if instructions[at] == opcode.opmap["RESUME"]:
            instructions[at : at + 2] = opcode.opmap["NOP"], 0
    return code.replace(co_code=bytes(instructions))


def hidden(function: F) -> F:
    """Decorator: the function's frames are unseen."""
    function.__code__ = hide(function.__code__)
    return function
