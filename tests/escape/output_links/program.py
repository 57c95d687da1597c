import os

os.symlink("/etc/passwd", "passwd")
os.symlink("/etc", "etc")
os.symlink("/", "root")
os.symlink("real", "inside")
os.mkdir("folder")
os.symlink("..", "folder/up")
with open("real", "w") as file:
    file.write("mine")
