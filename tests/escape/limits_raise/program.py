import resource

for name in dir(resource):
    if name.startswith("RLIMIT_"):
        number = getattr(resource, name)
        soft, hard = resource.getrlimit(number)
        if hard == resource.RLIM_INFINITY:
            continue
        try:
            resource.setrlimit(number, (soft, hard + 1))
            print("managed:", name)
        except (ValueError, PermissionError):
            print("denied:", name.partition("_")[2])
