for number in range(3000):
    open(f"{number:04}", "w").close()
