# except* splits a group and lets the rest through.
try:
    raise ExceptionGroup("all", [ValueError(1), TypeError(2), KeyError(3)])
except* ValueError as group:
    print("values", group.exceptions)
except* TypeError as group:
    print("types", group.exceptions)
