import os
import subprocess
import sys
import threading

from attack import attempt, call

thread = threading.Thread(target=lambda: attempt("thread", lambda: call("unshare", 0x10000000)))
thread.start()
thread.join()
pid = os.fork()
if pid == 0:
    attempt("child", lambda: call("unshare", 0x10000000))
    os._exit(0)
os.waitpid(pid, 0)
code = "import ctypes; print('managed: exec' if ctypes.CDLL(None).unshare(0x10000000) == 0 else 'denied: exec')"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
