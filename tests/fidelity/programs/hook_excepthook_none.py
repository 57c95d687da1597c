# sys.excepthook may be no function.
import sys
sys.excepthook=None
1/0
