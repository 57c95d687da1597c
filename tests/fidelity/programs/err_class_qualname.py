# An exception class of the program is printed without its module.
class Outer:
    class Inner(Exception):
        pass


print(Outer.Inner.__module__)
raise Outer.Inner("text")
