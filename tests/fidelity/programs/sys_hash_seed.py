# String hashes are randomised per process, random numbers too, and a seed fixes them.
import os
import random
import subprocess
import sys

code = "import random; print(hash('text'), random.random())"
runs = {subprocess.run([sys.executable, "-c", code], capture_output=True).stdout for _ in range(2)}
print(len(runs), "PYTHONHASHSEED" in os.environ)
random.seed(7)
print(random.random(), random.randint(1, 100), random.sample(range(50), 5), random.choice("abc"))
print(random.Random(1).gauss(0, 1))
