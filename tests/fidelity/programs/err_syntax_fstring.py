# A syntax error within an f-string is reported as the interpreter reports it.
name = "x"
print(f"{name!z}")
