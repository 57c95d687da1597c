# Half a megabyte of output arrives whole and in order.
for number in range(10_000):
    print(f"{number:06d}", "x" * 43)
