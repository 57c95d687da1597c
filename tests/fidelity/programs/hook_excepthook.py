# A custom sys.excepthook replaces the traceback; the exit code stays 1.
import sys


def hook(kind, error, trace):
    depth = 0
    while trace:
        print("frame", depth, trace.tb_frame.f_code.co_name, trace.tb_lineno)
        trace, depth = trace.tb_next, depth + 1
    print("hook:", kind.__name__, error, file=sys.stderr)


def fail():
    raise ValueError("custom")


sys.excepthook = hook
fail()
