# A sys.excepthook may exit with a message.
import sys
def h(*a): raise SystemExit("bye")
sys.excepthook=h
1/0
