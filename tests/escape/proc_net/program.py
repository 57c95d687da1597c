from pathlib import Path

for name in ("dev", "unix", "tcp", "route", "arp", "if_inet6"):
    try:
        print(Path(f"/proc/self/net/{name}").read_text())
    except OSError:
        print("denied:", name)
