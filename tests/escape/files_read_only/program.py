import os

from attack import attempt

FOLDERS = [
    "/",
    "/bin",
    "/dev",
    "/etc",
    "/evalpool",
    "/evalpool/bin",
    "/evalpool/box",
    "/evalpool/sandbox/guest",
    "/lib",
    "/opt",
    "/opt/python",
    "/opt/python/bin",
    "/proc",
    "/proc/self",
    "/usr",
    "/usr/bin",
    "/var",
    "/root",
    os.path.dirname(os.__file__),
]
for folder in FOLDERS:
    attempt(folder, lambda folder=folder: os.open(f"{folder}/mine", os.O_CREAT | os.O_WRONLY))
attempt("interpreter", lambda: os.open(os.path.realpath("/opt/python/bin/python3"), os.O_RDWR))
attempt("init", lambda: os.open("/evalpool/bin/init", os.O_RDWR))
attempt("guest", lambda: os.unlink("/evalpool/sandbox/guest/cell.py"))
attempt("chmod", lambda: os.chmod("/evalpool/bin/init", 0o777))
attempt("hard link", lambda: os.link("/etc/passwd", "/tmp/passwd"))
attempt("rename", lambda: os.rename("/etc/passwd", "/etc/passwd2"))
