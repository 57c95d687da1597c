# multiprocessing Queue, Lock, Event and Value are shared between processes.
import multiprocessing


def work(queue, counter, ready):
    ready.wait()
    with counter.get_lock():
        counter.value += 5
    queue.put({"items": [1, 2], "text": "ü"})


queue, counter, ready = multiprocessing.Queue(), multiprocessing.Value("i", 2), multiprocessing.Event()
process = multiprocessing.Process(target=work, args=(queue, counter, ready))
process.start()
ready.set()
print(queue.get())
process.join()
print(counter.value, process.exitcode)
