# os.system and os.popen use the program's own streams.
import os

print("before", flush=True)
print(os.waitstatus_to_exitcode(os.system("echo from sh; exit 3")))
with os.popen("echo piped") as pipe:
    print(pipe.read().strip())
