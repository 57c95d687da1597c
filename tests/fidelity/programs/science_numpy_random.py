# Unseeded numpy random numbers differ between processes.
import multiprocessing
import subprocess
import sys

import numpy as np

code = "import numpy; print(numpy.random.rand(), numpy.random.default_rng().random())"
runs = {subprocess.run([sys.executable, "-c", code], capture_output=True).stdout for _ in range(2)}
print(len(runs), np.random.rand() != np.random.rand(), np.geterr())
