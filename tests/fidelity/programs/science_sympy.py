# sympy solves, integrates and prints.
import sympy as sp

x, y = sp.symbols("x y")
print(sp.solve([x + y - 3, x * y - 2], [x, y]), sp.integrate(sp.sin(x) ** 2, x), sp.factor(x**4 - 1))
print(sp.latex(sp.Matrix([[1, x], [y, 2]]).det()), sp.N(sp.pi, 30), sp.factorint(2**31 + 1))
sp.pprint(sp.Integral(sp.sqrt(x), (x, 0, 1)))
sp.sympify("1 +")
