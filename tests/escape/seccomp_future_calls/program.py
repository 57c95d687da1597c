from attack import attempt, syscall

for number in (*range(470, 520), 1000, 4096, 0x3FFFFFFF):
    attempt(str(number), lambda number=number: syscall(number, 0, 0, 0, 0, 0, 0))
