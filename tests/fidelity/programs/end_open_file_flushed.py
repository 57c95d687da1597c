# A file left open is flushed when its process ends.
import subprocess
import sys

child = "f = open('left.txt', 'w'); f.write('text')"
print(subprocess.run([sys.executable, "-c", child], check=False).returncode)
print(open("left.txt").read())
