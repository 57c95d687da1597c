"""Run one program as `python3 main.py` would: same `__main__`, same tracebacks, same way out.

The program runs in this very interpreter, which was started long before. Where that would show (variables
that only a starting interpreter reads, `strace`), the real command is exec'ed instead.
"""

from __future__ import annotations

import ast
import atexit
import builtins
import gc
import importlib.machinery
import os
import resource
import signal
import socket
import sys
import threading
import types
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox.guest import protocol

WORK = "/work"
MAIN = "main.py"
_START_ONLY = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OMP_", "OPENBLAS_", "MKL_", "TZ")
"""Variables that are read when an interpreter or library starts; a running one would ignore them."""
_FLUSH_FAILED = 120
"""Exit code of a Python whose standard streams could not be flushed (Py_RunMain)."""


@dataclass(frozen=True)
class Job:
    """One program, and what the cell needs besides to run it."""

    header: dict[str, Any]
    """"args", "env", "files" (paths), "interpreter_mode", "strace", "merge_streams", "outputs" (bool), "rlimits",
    "data_bytes" (private memory on top of what the cell has, None: no bound but the cgroup's)."""
    blobs: list[bytes]
    channel: socket.socket
    python: str


_preloaded = 0
"""Number of modules that a program finds loaded, `__main__` aside."""


def pose() -> None:
    """In the zygote, before the first fork: look as an interpreter that was just started on the program."""
    global _preloaded  # noqa: PLW0603  one interpreter, one count
    os.chdir(WORK)
    os.environ.pop("LD_BIND_NOW", None)  # ours, see host.nsjail
    sys.argv = [MAIN]
    sys.orig_argv = ["python3", MAIN]
    sys.path[0] = WORK
    for name in [name for name in sys.modules if name == "__main__" or name.startswith("sandbox")]:
        del sys.modules[name]
    _preloaded = len(sys.modules)


def run(job: Job) -> NoReturn:
    """Put the job's files in place, hang up on the host, and become the program."""
    header = job.header
    _place(header["files"], job.blobs)
    if header["outputs"]:
        _send_directory(job.channel)
    job.channel.close()
    if header["merge_streams"]:
        os.dup2(1, 2)
    for name, value in header["rlimits"].items():
        _lower(getattr(resource, f"RLIMIT_{name}"), value)
    if header["data_bytes"] is not None:
        _lower(resource.RLIMIT_DATA, _data_bytes() + header["data_bytes"])
    os.environ.update(header["env"])
    if header["strace"] or any(name.startswith(_START_ONLY) for name in header["env"]):
        _execute(job.python, header, dict(os.environ))
    sys.argv[1:] = header["args"]
    sys.orig_argv[2:] = header["args"]
    _leave(_call(job.blobs[0], interpreter_mode=header["interpreter_mode"]))


def rehearse() -> None:
    """Run a throw-away program through the same code, so that a job finds its memory pages copied already.

    What it prints goes to /dev/null (the standard descriptors are not the job's yet); it leaves no trace.
    """
    head, body = protocol.unpack_head(_REHEARSAL[: protocol.HEAD_BYTES])
    start = protocol.HEAD_BYTES + head
    header, blobs = protocol.unpack_job(_REHEARSAL[protocol.HEAD_BYTES : start], _REHEARSAL[start : start + body])
    _place(header["files"], blobs)
    os.environ.update(header["env"])
    _call(blobs[0], interpreter_mode=header["interpreter_mode"])
    _flush()
    _drop_modules()
    os.unlink(MAIN)


_REHEARSAL = protocol.pack_job(
    {"args": [], "env": {}, "files": [], "interpreter_mode": False},
    [b"import math\ndef f(x: int) -> int:\n    return x + 1\nprint(f(1), 'a b'.split(), {1: [2.0]})\n"],
)


def _place(files: list[str], blobs: list[bytes]) -> None:
    for path, blob in zip([MAIN, *files], blobs):  # noqa: B905  images bring Python 3.8 and 3.9
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            view = memoryview(blob)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
    sys.path_importer_cache.pop(WORK, None)


def _send_directory(channel: socket.socket) -> None:
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    socket.send_fds(channel, [protocol.DIRECTORY], [fd])
    os.close(fd)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard - 1)
    # The hard limit too, or the program raises it again. CPU: SIGXCPU, then SIGKILL for who ignores that.
    resource.setrlimit(limit, (value, value + 1))


def _data_bytes() -> int:
    """Private writable memory of this process, touched or not."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[5]) * resource.getpagesize()


def _call(source: bytes, *, interpreter_mode: bool) -> int:
    """Compile and run as `__main__`; the exit status as `Py_RunMain` would have it, before finalisation."""
    try:
        code = _compile(source, interpreter_mode=interpreter_mode)
        exec(code, _fresh_main().__dict__)  # noqa: S102  the purpose of this whole house
    except SystemExit as leaving:
        return _exit_status(leaving.code)
    except BaseException as error:  # noqa: BLE001  as the interpreter itself does
        return _report(error)
    return 0


def _compile(source: bytes, *, interpreter_mode: bool) -> types.CodeType:
    path = f"{WORK}/{MAIN}"
    if interpreter_mode:
        tree = ast.parse(source, path)
        return compile(ast.Interactive(tree.body), path, "single", dont_inherit=True)
    return compile(source, path, "exec", dont_inherit=True)


def _fresh_main() -> types.ModuleType:
    path = f"{WORK}/{MAIN}"
    main = types.ModuleType("__main__")
    main.__dict__.update(
        __annotations__={},
        __builtins__=builtins,
        __cached__=None,
        __file__=path,
        __loader__=importlib.machinery.SourceFileLoader("__main__", path),
    )
    sys.modules["__main__"] = main
    return main


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _report(error: BaseException) -> int:
    """Print an uncaught exception; our own frames are not the program's business."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    error.__traceback__ = trace
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    try:
        sys.excepthook(type(error), error, trace)
    except SystemExit as leaving:
        return _exit_status(leaving.code)
    except BaseException as second:  # noqa: BLE001
        sys.stderr.write("Error in sys.excepthook:\n")
        second.__traceback__ = second.__traceback__.tb_next if second.__traceback__ else None
        sys.__excepthook__(type(second), second, second.__traceback__)
        sys.stderr.write("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, trace)
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def _leave(status: int) -> NoReturn:
    """Leave as the interpreter does: threads, atexit, streams, objects; but not its own 10 MB of memory."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  what Py_FinalizeEx calls
    atexit._run_exitfuncs()  # noqa: SLF001
    flushed = _flush()
    _drop_modules()
    if not (_flush() and flushed) and status == 0:
        status = _FLUSH_FAILED
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _flush() -> bool:
    flushed = True
    for stream in {id(s): s for s in (sys.stdout, sys.__stdout__, sys.stderr)}.values():
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BaseException as error:  # noqa: BLE001
            flushed = flushed and stream is sys.stderr
            if stream is not sys.stderr and sys.stderr is not None:
                sys.stderr.write(f"Exception ignored in: {stream!r}\n{type(error).__name__}: {error}\n")
    return flushed


def _drop_modules() -> None:
    """Let the program's objects die while they can still print, files they left open flush, and so on."""
    sys.modules.pop("__main__", None)
    while len(sys.modules) > _preloaded:
        sys.modules.popitem()  # the newest; looking at the others would copy their pages
    for name in ("last_type", "last_value", "last_traceback"):
        sys.__dict__.pop(name, None)
    gc.collect()


def _execute(python: str, header: dict[str, Any], environ: dict[str, str]) -> NoReturn:
    command = ["python3", MAIN, *header["args"]]
    if not header["strace"]:
        os.execve(python, command, environ)
    _trace(python, command, environ)


def _trace(python: str, command: list[str], environ: dict[str, str]) -> NoReturn:
    """Run under strace, then append its report to stderr; end as the program ended."""
    report = "/tmp/strace"
    pid = os.posix_spawn("/usr/bin/strace", ["strace", "-f", "-o", report, "--", python, *command[1:]], environ)
    _, status = os.waitpid(pid, 0)
    with open(report, "rb") as file:
        while chunk := file.read(1 << 16):
            os.write(2, chunk)
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))
