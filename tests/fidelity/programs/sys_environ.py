# The environment holds no variable of the sandbox's own.
import os

print([name for name in sorted(os.environ) if name.startswith(("EVAL", "NSJAIL", "PYTHON", "LD_", "REDIS"))])
print(os.environ["LANG"], "PATH" in os.environ, "HOME" in os.environ, os.environ.get("LC_ALL"), os.environ.get("TMPDIR"))
os.environ["SET_HERE"] = "yes"
print(os.popen("echo $SET_HERE").read().strip())
