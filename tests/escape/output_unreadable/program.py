import os

os.mkdir("closed")
open("closed/in", "w").close()
os.chmod("closed", 0)
open("shut", "w").close()
os.chmod("shut", 0)
os.chmod(".", 0o300)
