# A __future__ import after the docstring takes effect in the program only.
"""Doc."""
from __future__ import annotations

import sys


def function(a: undefined_name) -> also_undefined: ...


print(function.__annotations__, annotations.compiler_flag & sys._getframe().f_code.co_flags != 0)
exec("def other(a: int): ...\nprint(other.__annotations__)")
