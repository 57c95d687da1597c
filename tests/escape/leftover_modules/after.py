import builtins
import json
import os
import sys

print(hasattr(builtins, "print_later"), json.loads("[1]"), "secret" in sys.modules, "/secret" in sys.path)
print(os.environ.get("SECRET"), os.umask(0o22), sys.getrecursionlimit(), sorted(os.environ))
