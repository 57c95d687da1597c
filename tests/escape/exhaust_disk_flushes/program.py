import errno
import mmap
import os
import sys

from attack import attempt, call


def sync(descriptor: int) -> str:
    try:
        os.fsync(descriptor)
        os.fdatasync(descriptor)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "0"


own = os.open("own", os.O_RDWR | os.O_CREAT)
shared = os.open(os.path.realpath(sys.executable), os.O_RDONLY)
print("own", sync(own))
print("shared", sync(shared))
print("pipe", sync(os.pipe()[0]))  # the kernel would say EINVAL: it is not asked
mmap.mmap(shared, 4096, mmap.MAP_SHARED, mmap.PROT_READ).flush()
print("mapped", call("msync", 0x1000, 4096, 4))  # nothing is mapped there: nor is it here
attempt("no descriptor", lambda: call("fsync", -1))
