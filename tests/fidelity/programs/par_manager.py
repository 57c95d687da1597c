# A multiprocessing Manager serves shared dictionaries.
import multiprocessing


def work(shared):
    shared["child"] = [1, 2]


if __name__ == "__main__":
    with multiprocessing.Manager() as manager:
        shared = manager.dict(main=0)
        process = multiprocessing.Process(target=work, args=(shared,))
        process.start()
        process.join()
        print(dict(shared))
