import os
import shutil
import subprocess

shutil.copy("/usr/bin/id", "id")
os.chmod("id", 0o6755)
before = os.getresuid()
said = subprocess.run(["./id", "-u"], capture_output=True, text=True).stdout.strip()
print("same" if said == str(before[0]) else f"managed: {said}")
