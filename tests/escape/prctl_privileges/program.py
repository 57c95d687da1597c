from attack import attempt, call

attempt("no_new_privs", lambda: call("prctl", 38, 0, 0, 0, 0))
attempt("map", lambda: call("prctl", 35, 8, 0x10000, 0, 0))
attempt("flusher", lambda: call("prctl", 57, 1, 0, 0, 0))
print(call("prctl", 39, 0, 0, 0, 0))
