"""The program as `__main__`, and its way out: what CPython's own `Py_RunMain` does, in the same order.

All of it but the end: the interpreter's own memory is left to the kernel, because taking a preloaded interpreter
apart costs more (12 ms) than everything else that a cell does. The functions are hidden: the program's code runs
under them, and its trace function may still be in place.
"""

from __future__ import annotations

import _ast
import builtins
import importlib.machinery
import signal
import sys
import threading
import time
import types
import weakref
from atexit import _run_exitfuncs
from gc import collect
from os import _exit, getpid, kill  # by name, here and above: what a program makes of these modules is its own
from typing import Any, NamedTuple, NoReturn

from sandbox.guest import place
from sandbox.guest.hidden import hidden

_FLUSH_FAILED = 120
"""Exit code of a Python whose standard streams could not be flushed (Py_RunMain)."""
_CLEARED = ("path", "argv", "orig_argv", "ps1", "ps2", "last_type", "last_value", "last_traceback", "meta_path")
"""Names of `sys` that are None when the last objects die."""

_globals = globals()  # hidden code, with nothing under it, has no use for the function
_display = sys.__excepthook__
_import = builtins.__import__
_path = ""
"""The program's file."""
_preloaded = 0
"""Number of modules that a program finds loaded, `__main__` and its alias aside."""
_kept: list[object] = []
"""Of a zygote, what a program's end must not free: to free memory is to copy it first."""


def pose() -> None:
    """In an interpreter that runs no program yet: look as one that was just started on the program."""
    global _preloaded, _path  # noqa: PLW0603  one interpreter, one count
    # Until Python 3.8 a program was called as it was named on the command line.
    _path = f"{place.workdir}/{place.filename}" if sys.version_info >= (3, 9) else place.filename
    sys.argv = [place.filename]
    if hasattr(sys, "orig_argv"):  # Python 3.10
        sys.orig_argv = list(place.command)
    sys.path[0] = place.workdir
    _kept.extend([sys.modules.pop(name) for name in list(sys.modules) if _is_ours(name)])
    for path in ("/evalpool", "/evalpool/sandbox", "/evalpool/sandbox/guest"):
        sys.path_importer_cache.pop(path, None)
    _preloaded = len(sys.modules)
    _kept.extend((sys.path, sys.meta_path))


def _is_ours(name: str) -> bool:
    return name in ("__main__", "__mp_main__", "sandbox") or name.startswith("sandbox.")


class Program(NamedTuple):
    """What `call` runs."""

    source: bytes
    interpreter_mode: bool
    code: Any = None
    """Compiled already."""


@hidden
def call(program: Program) -> int:
    """Compile and run as `__main__`; the exit status before finalisation, negative for a death by signal."""
    try:
        code = _compile(program) if program.code is None else program.code
        exec(code, _fresh_main().__dict__)  # noqa: S102  the purpose of this whole house
    except BaseException as error:  # noqa: BLE001  as the interpreter itself does
        caught = error
    else:
        _flush_quietly()
        return 0
    _flush_quietly()
    return _report(caught)


class _Said:
    """Stands in for stderr."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def precompile(source: bytes) -> tuple[Any, bool]:
    """The program compiled, and whether the compiler had nothing to say (a warning is every run's to show).

    None, False if it does not compile: `call` will find that too, and report it.
    """
    stderr, said = sys.stderr, _Said()
    sys.stderr = said
    try:
        code = compile(source, _path, "exec", dont_inherit=True)
    except BaseException:  # noqa: BLE001
        return None, False
    finally:
        sys.stderr = stderr
    stderr.write(said.text)
    return code, not said.text


def rehearse(program: Program) -> None:
    """`call`, and of `leave` what can be undone."""
    call(program)
    _flush()
    kept = {name: sys.__dict__[name] for name in (*_CLEARED, "is_finalizing") if name in sys.__dict__}
    _tear_down()
    sys.__dict__.update(kept)
    builtins.__import__ = _import
    del builtins._  # type: ignore[attr-defined]


@hidden
def _compile(program: Program) -> types.CodeType:
    source = program.source
    if program.interpreter_mode:
        tree: Any = compile(source, _path, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
        return compile(_ast.Interactive(tree.body), _path, "single", dont_inherit=True)
    return compile(source, _path, "exec", dont_inherit=True)


@hidden
def _fresh_main() -> types.ModuleType:
    main = types.ModuleType("__main__")
    main.__dict__.update(
        __annotations__={},
        __builtins__=builtins,
        __file__=_path,
        __cached__=None,
        __loader__=importlib.machinery.SourceFileLoader("__main__", _path),
    )
    sys.modules["__main__"] = main
    if "multiprocessing" in sys.modules:
        sys.modules["__mp_main__"] = main  # as its import does; what spawned children send back names it
    if "logging" in sys.modules:
        now = time.time_ns() if sys.version_info >= (3, 13) else time.time()
        sys.modules["logging"]._startTime = now  # type: ignore[attr-defined]  # noqa: SLF001  as its import does
    return main


@hidden
def _exit_status(code: object) -> int:
    """`handle_system_exit`: the argument of a SystemExit as exit status."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if abs(code) < 1 << 63 else 0xFF
    for text in (code, "\n"):
        try:  # noqa: SIM105  suppress is Python code too, and would be traced
            sys.stderr.write(str(text))
        except BaseException:  # noqa: BLE001, S110  there is nowhere to say so
            pass
    return 1


@hidden
def _report(error: BaseException) -> int:
    """`PyErr_PrintEx`: what becomes of an exception that nobody caught."""
    if isinstance(error, SystemExit):
        return _exit_status(error.code)
    _trim(error)
    trace = error.__traceback__
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    second = _hooked(error)
    if isinstance(second, SystemExit):
        return _exit_status(second.code)
    if second is not None:
        _trim(second)
        sys.stderr.write("Error in sys.excepthook:\n")
        _display(type(second), second, second.__traceback__)
        sys.stderr.write("\nOriginal exception was:\n")
        _display(type(error), error, trace)
    return -signal.SIGINT if type(error) is KeyboardInterrupt else 1


@hidden
def _hooked(error: BaseException) -> BaseException | None:
    """Call `sys.excepthook`; what it raised."""
    try:
        hook = sys.excepthook
    except AttributeError:
        sys.stderr.write("sys.excepthook is missing\n")
        hook = _display
    try:
        hook(type(error), error, error.__traceback__)
    except BaseException as second:  # noqa: BLE001
        return second
    return None


@hidden
def _trim(error: BaseException) -> None:
    """Take our frames off a traceback (before Python 3.11 they are not hidden)."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is _globals:
        trace = trace.tb_next
    error.__traceback__ = trace


@hidden
def leave(status: int) -> NoReturn:
    """`Py_FinalizeEx`: threads, atexit, streams, the program's objects; then exit with `status`."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  what Py_FinalizeEx calls
    except BaseException as error:  # noqa: BLE001
        _unraisable(error, threading, "Exception ignored on threading shutdown")
    try:  # noqa: SIM105  every program passes here
        _run_exitfuncs()
    except BaseException:  # noqa: BLE001, S110  up to Python 3.9 the last error, already reported, comes out
        pass
    if not _flush() and status >= 0:
        status = _FLUSH_FAILED
    _tear_down()
    _flush_quietly()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        kill(getpid(), -status)
    _exit(status)


@hidden
def _flush() -> bool:
    """`flush_std_files`: False if what a program printed is lost. Says so, of stdout, on stderr."""
    flushed = True
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        try:
            if stream is not None and not _is_closed(stream):
                stream.flush()
        except BaseException as error:  # noqa: BLE001
            flushed = False
            if name == "stdout":
                _unraisable(error, stream, "Exception ignored on flushing sys.stdout")
    return flushed


@hidden
def _is_closed(stream: Any) -> bool:
    try:
        return bool(stream.closed)
    except BaseException:  # noqa: BLE001  a detached stream, say: its flush will tell
        return False


@hidden
def _flush_quietly() -> None:
    for name in ("stderr", "stdout"):
        try:  # noqa: SIM105  every program passes here
            getattr(sys, name).flush()
        except BaseException:  # noqa: BLE001, S110  `_flush` tells
            pass


@hidden
def _tear_down() -> None:
    """`finalize_modules`, of the program's own modules: its objects die while they can still print."""
    builtins._ = None  # type: ignore[attr-defined]
    for name in _CLEARED:
        if name in sys.__dict__:
            sys.__dict__[name] = None
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    sys.is_finalizing = _yes
    builtins.__import__ = _no_import  # type: ignore[assignment]
    dying = []
    for _ in range(len(sys.modules) - _preloaded):
        _, module = sys.modules.popitem()  # the newest; looking at the others would copy their pages
        if type(module) is types.ModuleType:
            dying.append(weakref.ref(module))
        del module
    collect()
    for alive in filter(None, (ref() for ref in dying)):
        _clear(alive.__dict__)


@hidden
def _yes() -> bool:
    return True


@hidden
def _no_import(*_: object) -> NoReturn:
    raise ImportError("sys.meta_path is None, Python is likely shutting down")


@hidden
def _clear(names: dict[str, Any]) -> None:
    """`_PyModule_ClearDict`: names with one underscore first, then all but the builtins."""
    for wanted in (True, False):
        for name in list(names):
            private = name[:1] == "_" and name[1:2] != "_"
            if private is wanted and name != "__builtins__":
                names[name] = None


def _hook_args() -> Any:
    """The type of what `sys.unraisablehook` takes, which has no name."""

    class Failing:
        def __del__(self) -> None:
            raise NotImplementedError

    seen: list[Any] = []
    hook, sys.unraisablehook = sys.unraisablehook, seen.append
    Failing()
    sys.unraisablehook = hook
    return type(seen[0])


_HookArgs = _hook_args()


@hidden
def _unraisable(error: BaseException, where: object, words: str) -> None:
    """`PyErr_WriteUnraisable`; since Python 3.13 words tell where."""
    _trim(error)
    told = (words, None) if sys.version_info >= (3, 13) else (None, where)
    try:  # noqa: SIM105
        sys.unraisablehook(_HookArgs((type(error), error, error.__traceback__, *told)))
    except BaseException:  # noqa: BLE001, S110  there is nowhere to say so
        pass
