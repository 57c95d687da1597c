# An object that sys keeps alive takes the program with it: no __del__ is heard.
import os
import sys


class Late:
    def __del__(self):
        print("modules", os is not None and sys is not None, os.path.basename("a/b"), len([1, 2]))


keep = Late()
sys.keep_alive = Late()
