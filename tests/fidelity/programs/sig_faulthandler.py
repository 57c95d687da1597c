# faulthandler, once enabled, prints the stack of the program on a fault.
import faulthandler
import os
import signal

faulthandler.enable(all_threads=False)


def fault():
    os.kill(os.getpid(), signal.SIGSEGV)


fault()
