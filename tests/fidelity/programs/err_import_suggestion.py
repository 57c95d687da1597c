# A name missing from a module and a missing module are told apart.
try:
    from json import dumpz
except ImportError as error:
    print(type(error).__name__, error.name, error.msg)
import no_such_module_here
