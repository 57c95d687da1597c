# `import __main__` is the program itself.
import __main__
import sys

value = 5
print(__main__.value, __main__ is sys.modules["__main__"], vars(__main__) is globals())
print(__main__.__dict__.get("__spec__", "missing"), repr(__main__).startswith("<module '__main__' from "))
