# A generator that ignores its closing is reported as an unraisable error.
def stubborn():
    while True:
        try:
            yield 1
        except GeneratorExit:
            print("staying")
            yield 2
            return


generator = stubborn()
next(generator)
del generator
print("end")
