# exec and eval use the namespace they are given, and builtins can be replaced.
import builtins

space = {}
exec("import math\ndef area(r): return math.pi * r * r", space)
print(sorted(space), round(space["area"](2), 3), eval("len(items)", {"items": [1, 2]}))
builtins.shout = lambda text: print(text.upper())
shout("builtin added")
original, builtins.print = print, lambda *args: original("replaced:", *args)
print("text")
