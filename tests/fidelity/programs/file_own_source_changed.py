# A program that rewrote its own source goes on with the old code.
with open("main.py", "w") as file:
    file.write("\n" * 3 + "# rewritten line four\n" * 3)
print("old code")
raise ValueError("new source line")
