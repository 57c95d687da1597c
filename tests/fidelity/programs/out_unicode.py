# Text beyond ASCII is encoded as UTF-8 on both streams.
import sys

print("grüße, 世界, 🙂, \N{COMBINING ACUTE ACCENT}e")
print("Ωmega", file=sys.stderr)
print(ascii("é"), repr("\u200b"), "é".encode())
