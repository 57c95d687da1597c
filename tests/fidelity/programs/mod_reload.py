# importlib.reload sees a module that the program wrote and changed.
import importlib
import pathlib

pathlib.Path("written.py").write_text("value = 1\n")
import written

print(written.value)
pathlib.Path("written.py").write_text("value = 'changed and longer'\n")
importlib.reload(written)
print(written.value)
