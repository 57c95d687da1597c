# numpy works in threads and forked processes.
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def norm(size):
    return round(float(np.linalg.norm(np.ones((size, size)) @ np.eye(size))), 6)


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as threads:
        print(list(threads.map(norm, [10, 50, 100])))
    with multiprocessing.Pool(2) as processes:
        print(processes.map(norm, [10, 50, 100]))
