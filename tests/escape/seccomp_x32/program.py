import os

from attack import syscall

print("managed:", syscall(0x40000000 | 39), os.getpid())
