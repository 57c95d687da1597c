# Nothing has used up names, counters, contexts or registries before the program.
import asyncio
import contextvars
import logging
import multiprocessing
import os
import sys
import threading
import warnings


async def task_name():
    return asyncio.current_task().get_name()


main = threading.main_thread()
print(main is threading.current_thread(), main.ident == threading.get_ident(), main.native_id == os.getpid())
print(len(threading.enumerate()), threading.Thread().name, multiprocessing.current_process(), multiprocessing.Process().name)
print(asyncio.run(task_name()), len(contextvars.copy_context()), warnings.onceregistry, globals().get("__warningregistry__"))
print(sys.argv, sys.orig_argv[1:], sys.warnoptions, sys._xoptions, sys.gettrace(), sys.getprofile())
print(sys.modules["__mp_main__"] is sys.modules["__main__"], logging.root.handlers)
print(logging.makeLogRecord({}).relativeCreated < 2000)
