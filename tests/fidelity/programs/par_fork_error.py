# An error in a forked process prints its traceback.
import multiprocessing


def work():
    raise ValueError("in a child")


process = multiprocessing.Process(target=work)
process.start()
process.join()
print(process.exitcode)
