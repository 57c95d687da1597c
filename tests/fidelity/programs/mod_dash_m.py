# `python -m` runs a submitted package in the working directory.
import subprocess
import sys

print(subprocess.run([sys.executable, "-m", "package", "x"]).returncode)
print(subprocess.run([sys.executable, "-m", "package.sub.leaf"]).returncode)
