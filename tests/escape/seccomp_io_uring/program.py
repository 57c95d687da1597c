from attack import attempt, syscall

for number in (425, 426, 427):
    attempt(str(number), lambda number=number: syscall(number, 8, b"\0" * 120, 0, 0, 0, 0))
