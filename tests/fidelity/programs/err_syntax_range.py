# A syntax error marks the whole range of the wrong expression.
if value = [1, 2]:
    pass
