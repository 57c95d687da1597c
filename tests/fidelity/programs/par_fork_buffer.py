# Text buffered before os.fork is written by both processes.
import os

print("twice")
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
