# sys.executable is an interpreter that exists and has the same version and packages.
import os
import subprocess
import sys

print(os.access(sys.executable, os.X_OK), os.path.basename(sys.executable).startswith("python"), sys.prefix == sys.base_prefix)
code = "import sys; print((sys.version, sys.prefix, sys.base_prefix, sys.path[1:]))"
child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
print(child == str((sys.version, sys.prefix, sys.base_prefix, sys.path[1:])))
print(os.path.dirname(os.__file__).endswith("python3.%d" % sys.version_info[1]))
