# atexit handlers run last in, first out, before globals are torn down.
import atexit


class Noisy:
    def __del__(self):
        print("del")


keep = Noisy()


@atexit.register
def first():
    print("first registered")


@atexit.register
def second():
    print("second registered")
    atexit.register(print, "registered within a handler")


atexit.register(print, "with", "arguments", sep="-")
atexit.unregister(first)
print("end of main")
