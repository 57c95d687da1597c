# A folder without __init__.py is a namespace package.
import importlib
import sys

import space.part

print(space.part.NAME, type(space.__path__).__name__, space.__file__)
sys.path.insert(0, "other")
importlib.invalidate_caches()
import space.second

print(space.second.NAME, len(list(space.__path__)))
