# Floats are printed and rounded as by the interpreter.
import math

print(-0.0, 0.1 + 0.2, 1e16, 1e-7, float("inf"), float("nan"), 1 / 3, 2**0.5)
print(f"{3.14159:.2f} {1e10:g} {12345.678:,.1f} {0.5:.0f} {1.5:.0f} {255:#x} {-7 // 2} {-7 % 3}")
print(math.fsum([0.1] * 10), sum([0.1] * 10), math.nextafter(1, 2), (2.5).hex(), round(2.675, 2), hash(1.5))
