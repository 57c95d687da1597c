# Temporary files live in /tmp and vanish when closed.
import os
import tempfile

print(tempfile.gettempdir())
with tempfile.NamedTemporaryFile("w+", suffix=".txt") as file:
    file.write("text")
    file.flush()
    print(os.path.dirname(file.name), os.path.getsize(file.name), oct(os.stat(file.name).st_mode))
with tempfile.TemporaryDirectory() as folder:
    print(os.listdir(folder))
print(os.path.exists(file.name), os.path.exists(folder))
