from attack import attempt, number, syscall

IO_PRIORITY = number(251, 30)
for name, level in (("real time", 1 << 13), ("first of all", 2 << 13), ("before the usual", 2 << 13 | 3)):
    attempt(name, lambda level=level: syscall(IO_PRIORITY, 1, 0, level))
print("idle", syscall(IO_PRIORITY, 1, 0, 3 << 13))
