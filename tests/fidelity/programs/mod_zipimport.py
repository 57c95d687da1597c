# Modules are imported from a zip file on sys.path.
import sys
import zipfile

with zipfile.ZipFile("bundle.zip", "w") as bundle:
    bundle.writestr("zipped.py", "def fail():\n    raise ValueError('from a zip')\n")
sys.path.insert(0, "bundle.zip")
import zipped

print(zipped.__file__, type(zipped.__loader__).__name__)
zipped.fail()
