from attack import attempt, number, syscall

attempt("real time", lambda: syscall(number(251, 30), 1, 0, 1 << 13))
