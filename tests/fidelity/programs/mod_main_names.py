# The namespace of __main__ holds what the interpreter puts there, and nothing else.
print(sorted(globals()), sorted(vars()) == sorted(globals()), locals() is globals())
print(__name__, __spec__, __package__, __doc__, __cached__, __annotations__)
print(type(__loader__).__name__, __loader__.name, type(__builtins__).__name__, __builtins__.__name__)
