# Clocks go forward and CPU time of the program starts near zero.
import time

start = time.monotonic()
time.sleep(0.02)
print(0.02 <= time.monotonic() - start < 5, time.process_time() < 1, time.time() > 1_700_000_000)
print(time.get_clock_info("monotonic").monotonic, time.thread_time() < 1)
