# sys.executable runs a program with its own streams and code.
import subprocess
import sys

child = "import sys; print('child', sys.argv[1], sys.stdin.read()); sys.stderr.write('err'); sys.exit(3)"
done = subprocess.run([sys.executable, "-c", child, "a b"], input="in", capture_output=True, text=True)
print(done.returncode, repr(done.stdout), repr(done.stderr))
subprocess.run([sys.executable, "-c", "print('inherited')"], check=True)
try:
    subprocess.run([sys.executable, "-c", "raise SystemExit(4)"], check=True)
except subprocess.CalledProcessError as error:
    print(error.returncode)
