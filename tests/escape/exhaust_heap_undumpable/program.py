from attack import call

call("prctl", 4, 0, 0, 0, 0)
keep = []
while True:
    keep.append(bytearray(1 << 20))
