import os
import socket

os.mkfifo("pipe")
socket.socket(socket.AF_UNIX).bind("socket")
os.symlink("/dev/zero", "zero")
os.symlink("/proc/self/fd/0", "stdin")
open("file", "w").close()
