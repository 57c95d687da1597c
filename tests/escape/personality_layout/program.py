from attack import attempt, call

for name, value in {
    "no randomize": 0x0040000,
    "read implies exec": 0x0400000,
    "short": 0x4000000,
    "linux32": 8,
}.items():
    attempt(name, lambda value=value: call("personality", value))
