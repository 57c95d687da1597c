# Errors of the compiler's later passes are syntax errors too.
def outer():
    value = 1
    nonlocal value


return 5
