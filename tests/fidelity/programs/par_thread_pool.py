# A thread pool maps in order and its threads are named from zero.
from concurrent.futures import ThreadPoolExecutor
import threading

with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(lambda n: n * n, range(6))))
    print(pool.submit(lambda: threading.current_thread().name.split("_")[0]).result())
    future = pool.submit(lambda: 1 / 0)
print(repr(future.exception()))
