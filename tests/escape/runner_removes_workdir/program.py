import os
import shutil

shutil.rmtree("/work", ignore_errors=True)
print(os.listdir("/work"))
os.chmod("/work", 0)
