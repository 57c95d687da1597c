from attack import attempt, call, number, syscall

attempt("tmpfs", lambda: call("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None))
attempt("proc", lambda: call("mount", b"proc", b"/tmp", b"proc", 0, None))
attempt("bind", lambda: call("mount", b"/", b"/tmp", None, 4096, None))
attempt("remount", lambda: call("mount", b"none", b"/", None, 32 | 4096, None))
attempt("propagate", lambda: call("mount", b"none", b"/", None, 1 << 20, None))
attempt("umount", lambda: call("umount2", b"/proc", 2))
attempt("chroot", lambda: call("chroot", b"/tmp"))
attempt("pivot_root", lambda: syscall(number(155, 41), b"/tmp", b"/tmp"))
