import os

with open("0.bin", "wb") as file:
    file.write(b"x" * (2 << 20))
for number in range(1, 1000):
    os.link("0.bin", f"{number}.bin")
