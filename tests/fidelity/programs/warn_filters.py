# The warning filters are the interpreter's.
import warnings

for entry in warnings.filters:
    print(entry)
print(warnings.defaultaction, warnings.onceregistry, globals().get("__warningregistry__"))
warnings.simplefilter("error")
warnings.warn("now an error")
