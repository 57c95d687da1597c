# A warning with a stack level above the program is attributed as by the interpreter.
import warnings

warnings.warn("above", UserWarning, stacklevel=2)
warnings.warn("far above", UserWarning, stacklevel=5)
