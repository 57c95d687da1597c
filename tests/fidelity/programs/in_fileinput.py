# fileinput reads stdin and the files named by arguments.
import fileinput

for line in fileinput.input(encoding="utf-8"):
    print(fileinput.filename(), fileinput.lineno(), line.rstrip())
