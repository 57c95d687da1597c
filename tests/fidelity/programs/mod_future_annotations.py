# Postponed annotations, and those of the module.
from __future__ import annotations
def f(x: undefined): return x
print(f.__annotations__, __annotations__)
y: int = 3
print(__annotations__)
