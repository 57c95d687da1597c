# The interpreter's flags and options are the defaults.
import sys

print(sys.flags)
print(sys._xoptions, sys.warnoptions, sys.dont_write_bytecode, sys.pycache_prefix)
print(__debug__, sys.flags.hash_randomization, sys.platlibdir)
