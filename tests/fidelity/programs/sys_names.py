# Neither builtins nor sys hold a name that the interpreter did not put there.
import builtins
import sys

print(sorted(vars(builtins)))
print(sorted(vars(sys)))
