# print, write and flush keep their order and text on stdout.
import sys

print("one", "two", sep="-", end="!\n")
print("flushed", flush=True)
print(sys.stdout.write("written\n"))
print(sys.stdout.writelines(["a\n", "b\n"]))
print()
print("no newline at the end", end="")
