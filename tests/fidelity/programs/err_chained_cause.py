# raise ... from shows the direct cause.
try:
    try:
        open("no-such-file.txt")
    except OSError as error:
        raise RuntimeError("cannot load settings") from error
except RuntimeError as error:
    raise SystemError("cannot start") from error
