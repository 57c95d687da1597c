import os

for folder in ("/work", "/tmp", "/dev/shm", "/var/tmp"):
    os.makedirs(f"{folder}/deep/er", exist_ok=True)
    with open(f"{folder}/deep/er/secret-{os.getpid()}", "w") as file:
        file.write("secret")
print("left")
