# numpy computes, prints arrays and is seeded afresh.
import numpy as np

a = np.arange(12, dtype=float).reshape(3, 4)
print(a, a.T @ a, a.mean(axis=0), sep="\n")
print(np.linalg.solve(np.array([[3.0, 1], [1, 2]]), np.array([9.0, 8])), np.random.default_rng(3).integers(0, 100, 5))
np.random.seed(1)
print(np.random.rand(3), np.random.get_state()[0], repr(np.float64(1.5)))
print(np.array([1, 2]) / np.array([0, 1]))
np.zeros((2, 3)) @ np.zeros((2, 3))
