# A DeprecationWarning in the program is shown once with its line, others by the default filters.
import warnings


def old():
    warnings.warn("old is old", DeprecationWarning, stacklevel=2)


for _ in range(2):
    old()
warnings.warn("plain")
warnings.warn("hidden", PendingDeprecationWarning)
warnings.warn("hidden too", ImportWarning)
warnings.warn("soon", FutureWarning)
