import os

from attack import attempt

for name in ("null", "zero", "full", "random", "urandom"):
    attempt(name, lambda name=name: os.utime(f"/dev/{name}"))
    attempt(f"{name} by descriptor", lambda name=name: os.utime(os.open(f"/dev/{name}", os.O_RDWR)))
with open("/dev/null", "w") as file:
    file.write("x")
print("written")
