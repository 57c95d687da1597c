# spawn without the __main__ guard is the well-known RuntimeError.
import multiprocessing


def work():
    print("never")


context = multiprocessing.get_context("spawn")
process = context.Process(target=work)
process.start()
process.join()
print(process.exitcode)
