from attack import attempt, number, syscall

attempt("session", lambda: syscall(number(250, 219), 1, None))
attempt("add", lambda: syscall(number(248, 217), b"user", b"secret", b"value", 5, -4))
attempt("request", lambda: syscall(number(249, 218), b"user", b"secret", None, -4))
