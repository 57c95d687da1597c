import os

depth = 0
try:
    while True:
        os.mkdir("d")
        os.chdir("d")
        depth += 1
except OSError:
    print("denied: deeper", depth > 1000)
