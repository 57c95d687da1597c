# A process pool runs functions of the program.
from concurrent.futures import ProcessPoolExecutor


def square(number):
    return number * number


def fail(number):
    raise ValueError(f"bad {number}")


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(square, range(5))))
        print(repr(pool.submit(fail, 3).exception()))
