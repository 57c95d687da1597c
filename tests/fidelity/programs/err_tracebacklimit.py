# sys.tracebacklimit shortens the traceback.
import sys

sys.tracebacklimit = 1


def a():
    b()


def b():
    raise ValueError("deep")


a()
