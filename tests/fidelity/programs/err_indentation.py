# An IndentationError shows the line.
def function():
print("not indented")
