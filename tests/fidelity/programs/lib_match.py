# match statements bind as they should.
def describe(value):
    match value:
        case {"kind": str(kind), **rest}:
            return kind, rest
        case [int(first), *_, last] if first < last:
            return first, last
        case float() | complex():
            return "number"
        case None | True:
            return "constant"
        case _:
            return "other"


for value in ({"kind": "a", "b": 1}, [1, 2, 3], [3, 1], 1.5, None, "text"):
    print(describe(value))
