# Globals with __del__ are torn down in order at exit, still able to print.
import gc


class Noisy:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        print("del", self.name)


gc.collect()  # another run of the collector among these lines would change the order
first = Noisy("first")
second = Noisy("second")
_private = Noisy("private")
first = Noisy("first again")
print("end of main")
