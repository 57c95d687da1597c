# multiprocessing.Pool maps and re-raises with the remote traceback.
import multiprocessing


def invert(number):
    return 12 // number


if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        print(pool.map(invert, [1, 2, 3]))
        print(sum(pool.imap_unordered(invert, range(1, 5))))
        try:
            pool.map(invert, [0])
        except ZeroDivisionError as error:
            print(error, type(error.__cause__).__name__)
