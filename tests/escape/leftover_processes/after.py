import os

print([name for name in os.listdir("/proc") if name.isdigit()])
