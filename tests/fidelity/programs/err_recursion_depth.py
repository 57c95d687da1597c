# As many calls fit under the recursion limit, whatever it is set to.
import sys
d=0
def f():
    global d
    d+=1; f()
try: f()
except RecursionError: print(d, sys.getrecursionlimit())
sys.setrecursionlimit(2000)
d=0
try: f()
except RecursionError: print(d)
