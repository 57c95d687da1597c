def double(value):
    """Double a value."""
    return check(value) * 2


def check(value):
    if value is None:
        raise TypeError("value is missing")
    return value
