# The locale is C.UTF-8 and encodings are UTF-8 throughout.
import locale
import os
import sys

print(locale.getlocale(), locale.getpreferredencoding(), locale.setlocale(locale.LC_CTYPE), locale.setlocale(locale.LC_NUMERIC))
print(locale.localeconv()["decimal_point"], os.fsencode("ü"), os.device_encoding(0))
with open("text.txt", "w") as file:
    print(file.encoding, file.errors, file.write("ü\n"))
print(open("text.txt", "rb").read(), sys.stdin.encoding)
