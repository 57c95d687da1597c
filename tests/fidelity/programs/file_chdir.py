# A changed directory does not confuse tracebacks.
import os

os.mkdir("elsewhere")
os.chdir("elsewhere")
print(os.path.basename(os.getcwd()), os.listdir())
raise ValueError("source line still shown")
