# raise ... from None hides the context.
try:
    [][1]
except IndexError:
    raise KeyError("a key\nwith two lines") from None
