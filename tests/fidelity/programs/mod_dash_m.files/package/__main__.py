import os
import sys

from .sub import leaf

print(os.path.basename(sys.argv[0]), sys.argv[1:], __package__, leaf.NAME)
sys.exit(4)
