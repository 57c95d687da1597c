import warnings


def complain():
    warnings.warn("hidden", DeprecationWarning)
    warnings.warn("shown", UserWarning)
