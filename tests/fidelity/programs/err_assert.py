# A failing assert shows its message.
x = 3
assert x == 4, f"x is {x}"
