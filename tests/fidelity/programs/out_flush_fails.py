# A sys.stdout that cannot be flushed is reported at exit, with exit code 120.
import sys
class O:
    def write(self,s): sys.__stdout__.write(s)
    def flush(self): raise OSError("no flush")
sys.stdout=O()
print("hey")
