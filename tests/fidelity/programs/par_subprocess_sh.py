# A shell runs with pipes, codes and signals.
import subprocess

print(subprocess.run("echo one; echo two >&2; exit 5", shell=True).returncode)
print(subprocess.check_output(["sh", "-c", "printf '%s,' 1 2 3"]))
print(subprocess.run("kill -9 $$", shell=True).returncode)
print(subprocess.run("yes | head -n 2", shell=True, capture_output=True))
print(subprocess.getstatusoutput("cat no-such-file 2>/dev/null; exit 2"))
