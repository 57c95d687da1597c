import re
import signal

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGXCPU):
    signal.signal(number, lambda *_: None)
re.match("(a|a|a|a)*b", "a" * 64)
print("managed: an answer")
