# A bracket never closed is named by its line.
values = {"a": [1, 2, 3}
print(values)
