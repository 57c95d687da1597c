# print to sys.stdout = None is silent and input() names the lost stream.
import sys

sys.stdout = None
print("silent")
try:
    input("prompt")
except RuntimeError as error:
    sys.stderr.write(f"{error}\n")
