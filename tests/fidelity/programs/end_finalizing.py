# At the end destructors see sys half gone, the real stdout, and cannot import.
import sys
class D:
    def __del__(self):
        print(sys.is_finalizing(), sys.argv, sys.path, sys.modules is None)
        import json
class E:
    def __del__(self):
        import zipapp
        print(zipapp)
d=D(); e=E()
import io; sys.stdout=io.StringIO()
print("captured")
