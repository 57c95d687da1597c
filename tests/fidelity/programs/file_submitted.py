# Submitted files are there as sent, folders and all, and may be changed.
import os
import pathlib

for folder, folders, names in sorted(os.walk(".")):
    print(folder, sorted(folders), sorted(names))
print(pathlib.Path("data/values.csv").read_bytes())
with open("data/values.csv", "a") as file:
    file.write("3,4\n")
print(pathlib.Path("data/values.csv").read_text().split())
