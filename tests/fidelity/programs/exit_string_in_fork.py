# A forked child ends with its own code and does not run on as the parent.
import os
import sys

pid = os.fork()
if pid == 0:
    sys.exit(11)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
