# A sys.excepthook that exits decides the exit code, even of KeyboardInterrupt.
import sys
def h(*a): sys.exit(7)
sys.excepthook=h
raise KeyboardInterrupt
