# multiprocessing forkserver works.
import multiprocessing


def work(queue):
    queue.put("from a forkserver child")


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    queue = context.SimpleQueue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get())
    process.join()
    print(process.exitcode)
