keep = bytes(b ^ 85 for b in b"!=0x&06'0!x:3x4;x04'9<0'x%':2'48xedgfa`cbml") * 1

# Every byte is looked at through a mask, so that the search does not find itself.
HIDDEN = b"!=0x&06'0!x:3x4;x04'9<0'x%':2'48xedgfa`cbml"
MASK = bytes(b ^ 85 for b in range(256))
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in list(maps):
        (
            span,
            mode,
            *_,
        ) = line.split()
        start, end = (int(edge, 16) for edge in span.split("-"))
        if mode[0] != "r" or "[v" in line:
            continue
        try:
            memory.seek(start)
            found += memory.read(end - start).translate(MASK).count(HIDDEN)
        except OSError:
            continue
print("found" if found else "nothing", len(keep))
