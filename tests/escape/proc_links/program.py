import os

print("same root" if os.listdir("/proc/self/root") == os.listdir("/") else "managed: another root")
print("same parent" if os.path.samefile("/proc/self/root/..", "/") else "managed: a parent")
print("managed: fd" if len(os.listdir("/proc/self/fd")) > 4 else "denied: fd")
