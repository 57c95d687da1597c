# sys.modules holds no module that is neither the standard library's nor the environment's.
import sys

known = sys.stdlib_module_names | {"__main__", "sitecustomize"}  # Debian's stands in the host's /etc
print(sorted({name.partition(".")[0] for name in sys.modules} - known))
