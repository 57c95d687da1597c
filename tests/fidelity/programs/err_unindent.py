# An unindent that matches nothing is an IndentationError.
if True:
        print("a")
    print("b")
