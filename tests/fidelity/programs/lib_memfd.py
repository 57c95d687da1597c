# memfd works (where a cgroup counts its memory; else it is absent).
import os

print(os.write(os.memfd_create("m"), b"abc"))
