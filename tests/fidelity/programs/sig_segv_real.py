# Reading a null pointer is a segmentation fault.
import ctypes

print("before", flush=True)
ctypes.string_at(0)
