import mmap

from attack import attempt, call

attempt("futex hash", lambda: call("prctl", 78, 1, 1 << 24, 0, 0))
attempt("core scheduling", lambda: call("prctl", 62, 1, 0, 0, 0))
attempt("page merging", lambda: call("prctl", 67, 1, 0, 0, 0))
attempt("page merging by madvise", lambda: mmap.mmap(-1, 4096).madvise(12))
attempt("option 200", lambda: call("prctl", 200, 0, 0, 0, 0))
print("named" if call("prctl", 15, b"hostile", 0, 0, 0) == 0 else "not named")
