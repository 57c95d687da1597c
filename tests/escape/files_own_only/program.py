import os

BAD = []
for top in ("/etc", "/evalpool", "/var"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except OSError:
                continue
            if not status.st_mode & 0o004:
                try:
                    open(path).close()
                    BAD.append(path)
                except OSError:
                    pass
print("managed: reading" if BAD else "denied: reading", BAD)
print(sorted(os.listdir("/")))
