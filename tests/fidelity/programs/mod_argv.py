# sys.argv holds the script's name and the arguments as sent.
import sys

print(sys.argv)
print(sys.orig_argv[1:])
