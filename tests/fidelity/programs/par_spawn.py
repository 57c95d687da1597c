# multiprocessing spawn imports the program again under another name.
import multiprocessing

print("module", __name__)


def work(queue):
    queue.put((__name__, work.__module__))


if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
    print(process.exitcode)
