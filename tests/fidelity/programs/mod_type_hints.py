# Type hints of the program resolve in its namespace.
from __future__ import annotations

import typing
from dataclasses import dataclass

count: int = 3
later: Node


@dataclass
class Node:
    value: int
    next: Node | None = None


def visit(node: Node, depth: int = 0) -> list[Node]: ...


print(__annotations__)
print(typing.get_type_hints(Node), typing.get_type_hints(visit), visit.__annotations__)
