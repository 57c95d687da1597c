from attack import attempt, syscall

attempt("clone3", lambda: syscall(435, b"\0" * 88, 88))
