import os

from attack import attempt

for uid in {0, 1, 9999, 10000, 10001, 65534} - {os.getuid()}:
    attempt(f"setuid {uid}", lambda uid=uid: os.setuid(uid))
    attempt(f"setgid {uid}", lambda uid=uid: os.setgid(uid))
    attempt(f"setresuid {uid}", lambda uid=uid: os.setresuid(-1, uid, -1))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("chown", lambda: os.chown("/work", 0, 0))
print(os.getresuid() == (os.getuid(),) * 3, os.getgroups() in ([], [65534]))
