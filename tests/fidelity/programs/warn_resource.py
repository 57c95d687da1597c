# A ResourceWarning is hidden by default and shown on demand.
import warnings

open("main.py")
warnings.simplefilter("always")
open("main.py")
