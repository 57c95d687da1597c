# Counters behind default names start where a fresh interpreter's start.
import asyncio
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor


async def name():
    return asyncio.current_task().get_name()


print(threading.Thread().name, threading.Thread(target=print).name)
print(multiprocessing.Process().name, multiprocessing.get_context("spawn").Process().name)
print(asyncio.run(name()), ThreadPoolExecutor()._thread_name_prefix)
print([thread.name for thread in threading.enumerate()], threading.active_count(), threading.main_thread().name)
print(threading.current_thread() is threading.main_thread(), threading.main_thread().daemon)
print(threading.main_thread().ident == threading.get_ident(), threading.get_native_id() == __import__("os").getpid())
print(multiprocessing.active_children(), multiprocessing.parent_process(), threading.gettrace())
