# A byte order mark before the source is skipped.
print("after the mark")
raise ValueError("line three")
