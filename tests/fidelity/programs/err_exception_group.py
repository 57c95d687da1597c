# An exception group prints its tree.
def fail(error):
    try:
        raise error
    except Exception as caught:
        return caught


raise ExceptionGroup(
    "two and a half",
    [fail(ValueError("one")), ExceptionGroup("inner", [fail(TypeError("two")), OSError(2, "half", "name")])],
)
