import builtins
import json
import os
import sys

builtins.print_later = "secret"
json.loads = len
sys.modules["secret"] = sys
sys.path.append("/secret")
os.environ["SECRET"] = "1"
os.umask(0)
sys.setrecursionlimit(5000)
print("left")
