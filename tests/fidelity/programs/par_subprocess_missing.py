# A command that does not exist is a FileNotFoundError.
import subprocess

try:
    subprocess.run(["no-such-command-here"])
except FileNotFoundError as error:
    print(error)
print(subprocess.run(["sleep", "0"]).returncode)
try:
    subprocess.run(["sleep", "5"], timeout=0.05)
except subprocess.TimeoutExpired as error:
    print(error.cmd, error.output)
