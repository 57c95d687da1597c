# A circular import is the interpreter's ImportError.
import left
