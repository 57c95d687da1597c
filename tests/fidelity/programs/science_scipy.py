# scipy optimises, integrates and solves.
import numpy as np
from scipy import integrate, linalg, optimize, stats

print(round(optimize.brentq(lambda v: v**3 - 2, 0, 2), 9), optimize.minimize(lambda v: (v[0] - 1) ** 2, [0.0]).x.round(5))
print(round(integrate.quad(np.exp, 0, 1)[0], 9), linalg.det(np.array([[1.0, 2], [3, 4]])).round(9), stats.norm.cdf(0))
