# Tracing tools are off at first and work when turned on.
import sys
import tracemalloc

print(tracemalloc.is_tracing(), sys.gettrace(), sys.getprofile())
tracemalloc.start()
block = bytearray(100_000)
print(tracemalloc.get_traced_memory()[0] > 100_000)
calls = []
sys.setprofile(lambda frame, event, value: calls.append((event, frame.f_code.co_name)))
(lambda: 0)()
sys.setprofile(None)
print(calls[:2])
