from . import __name__ as parent

print("tool", __name__, parent)
