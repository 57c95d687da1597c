# Shared memory is seen by another process and unlinked cleanly.
import multiprocessing
from multiprocessing import shared_memory


def work(name):
    block = shared_memory.SharedMemory(name=name)
    block.buf[:5] = b"hello"
    block.close()


block = shared_memory.SharedMemory(create=True, size=4096)
process = multiprocessing.Process(target=work, args=(block.name,))
process.start()
process.join()
print(bytes(block.buf[:5]), block.size, process.exitcode)
block.close()
block.unlink()
