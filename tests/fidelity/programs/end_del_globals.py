# Globals with __del__ are torn down in order at exit, still able to print.
import gc


class Noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        print("del", self.name)


first = Noisy("first")
second = Noisy("second")
_private = Noisy("private")
first = Noisy("first again")
gc.collect()  # else the order depends on how often the collector ran since the interpreter started
print("end of main")
