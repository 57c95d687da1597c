# An exception whose __str__ raises is still printed.
class Odd(Exception):
    def __str__(self):
        raise ValueError("no text")


raise Odd
