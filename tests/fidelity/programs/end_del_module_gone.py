# __del__ at exit can still use builtins and finds the modules imported before it gone.
import os
import zlib


class Late:
    def __del__(self):
        print("builtins", len([1, 2]), "modules", os, zlib)
        os.getcwd()


keep = Late()
