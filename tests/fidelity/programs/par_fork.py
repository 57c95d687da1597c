# multiprocessing forks by default and a child's output and code arrive.
import multiprocessing
import sys


def work(name):
    print("child", name, multiprocessing.current_process().name)
    sys.exit(6)


print(multiprocessing.get_start_method(), multiprocessing.current_process().name)
process = multiprocessing.Process(target=work, args=("a",))
process.start()
process.join()
print(process.exitcode, process.name)
