# exit() and quit() of site are there and end the program.
print(repr(exit), repr(quit))
print(type(copyright).__name__, type(license).__name__, type(help).__name__)
exit(4)
