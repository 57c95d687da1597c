# Without sys.excepthook the error is still shown.
import sys
del sys.excepthook
1/0
