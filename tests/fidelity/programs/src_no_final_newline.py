# A program needs no newline at its end.
print("no newline at the end")
undefined