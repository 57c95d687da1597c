# the-secret-of-an-earlier-program-0123456789
import os
import sys

print(
    len(sys.stdin.read()),
    os.environ["SECRET"] in open("secret.txt" if os.path.exists("secret.txt") else "main.py").read(),
)
