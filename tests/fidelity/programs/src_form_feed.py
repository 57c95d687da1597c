# A form feed between lines is white space.
print("one")

print("two")
def f():
    raise ValueError("after a form feed")
f()
