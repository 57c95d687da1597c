# A program that is only a docstring has it in __doc__.
"""The docstring,
in two lines."""
print(repr(__doc__))
