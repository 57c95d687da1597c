# A program that closed descriptor 2 keeps its exit code.
import os

os.close(2)
raise RuntimeError("nobody can read this")
