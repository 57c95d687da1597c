# SIGXFSZ is ignored, so that a file too large is an OSError.
import resource

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
with open("big.bin", "wb", buffering=0) as file:
    print(file.write(b"x" * 1000))
    try:
        file.write(b"x")
    except OSError as error:
        print(error)
