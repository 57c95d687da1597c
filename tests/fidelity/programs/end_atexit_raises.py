# An atexit handler that raises is reported, the others run, the exit code stays.
import atexit

atexit.register(print, "still runs")


@atexit.register
def broken():
    raise ValueError("at exit")


print("end of main")
