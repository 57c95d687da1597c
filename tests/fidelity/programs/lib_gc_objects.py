# The collector knows no object that is not the program's or the interpreter's.
import gc, sys
print([type(o) for o in gc.get_objects() if str(type(o).__module__).startswith("sandbox")])
print([m for m in gc.get_objects() if isinstance(m, type(sys)) and m.__name__.startswith("sandbox")])
print([f.__qualname__ for f in gc.get_objects() if isinstance(f, type(lambda:0)) and str(f.__module__).startswith("sandbox")])
