# A sys.excepthook that fails shows both errors.
import sys


def hook(kind, error, trace):
    raise RuntimeError("hook broke")


sys.excepthook = hook
raise ValueError("original")
