# A sys.stderr that cannot be flushed gives exit code 120 without a word.
import sys
class O:
    def write(self,s): sys.__stderr__.write(s)
    def flush(self): raise OSError("no flush")
sys.stderr=O()
raise SystemExit("hey")
