# Warnings of the compiler are shown once with the source line.
value = 3
if value is 3:
    print("is")
assert (value, "always true")
print("\d")
