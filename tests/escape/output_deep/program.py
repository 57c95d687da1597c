import os

os.makedirs("a/b/c")
open("a/b/c/shallow", "w").close()
for _ in range(60):
    os.mkdir("d")
    os.chdir("d")
open("deep", "w").close()
