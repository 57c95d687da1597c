import os

os.mkdir("asked")
open("folder", "w").close()
