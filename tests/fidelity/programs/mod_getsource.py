# inspect and linecache find the program's source.
import inspect
import linecache


def function(value):
    """Say something."""
    return value + 1  # with a comment


class Thing:
    def method(self): ...


print(inspect.getsource(function), inspect.getsource(Thing))
print(inspect.getsourcefile(function) == __file__, inspect.getsourcelines(function)[1])
print(repr(linecache.getline(__file__, 1)), inspect.getmodule(function).__name__, inspect.getdoc(function))
