import os

for name, size in (("sparse", 60 << 20), ("big", (1 << 20) + 1), ("fits", 1 << 20)):
    with open(name, "w") as file:
        os.ftruncate(file.fileno(), size)
