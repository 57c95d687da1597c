# A suspended generator runs its finally at exit.
def steps():
    try:
        yield 1
    finally:
        print("generator closed")


generator = steps()
print(next(generator))
