# doctest.testmod tests the program's own docstrings.
"""Module text.

>>> add(1, 1)
2
"""
import doctest


def add(a, b):
    """Add.

    >>> add(1, 2)
    3
    >>> add("a", "b")
    'abc'
    """
    return a + b


print(doctest.testmod())
