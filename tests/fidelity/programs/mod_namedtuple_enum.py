# Named tuples, enums and type variables know that they live in __main__.
import collections
import enum
import typing

Pair = collections.namedtuple("Pair", "left right")
Color = enum.Enum("Color", "RED GREEN")


class Flag(enum.Flag):
    A = enum.auto()
    B = enum.auto()


T = typing.TypeVar("T")
print(Pair(1, 2), Pair.__module__, Color.RED, Color.__module__, Flag.A | Flag.B, T.__module__)
print(repr(Color), Pair, type("Dynamic", (), {}))
