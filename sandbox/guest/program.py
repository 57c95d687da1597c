"""Run one program as `python3 main.py` would: same `__main__`, same tracebacks, same way out.

The program runs in this very interpreter, which was started long before. Where that would show (variables
that only a starting interpreter reads, `strace`), the real command is exec'ed instead.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from sandbox.guest import gallery, limits, linux, main, place, prelude, protocol

if TYPE_CHECKING:
    import socket

_START_ONLY = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GLIBC_", "OMP_", "OPENBLAS_", "MKL_", "TZ")
"""Variables that are read when an interpreter or library starts; a running one would ignore them."""
_START = "import sys; sys.path[0] = '/evalpool'; from sandbox.guest.program import start; start(%r)"
"""What a plain `python3 main.py` cannot do, in an interpreter of its own."""
_MODES = ("interpreter_mode", "figures", "display")


class Job(NamedTuple):
    """One program, and what the cell needs besides to run it."""

    header: dict[str, Any]
    """"args", "env", "files" (paths), "executables" (some of these), "interpreter_mode", "strace", "merge_streams",
    "live" (somebody reads along), "step" (of `place.programs`), "outputs" (bool), "figures" and "display" (so many at
    most), "bytecode" (`protocol.MAKE`, `HAVE` or neither), "rlimits", "data_bytes" (private memory on top of what an
    interpreter that stays has, None: no bound but the cgroup's)."""
    blobs: list[bytes]
    channel: socket.socket
    open_files: int


def pose() -> None:
    """In the zygote, before the first fork: look as an interpreter that was just started on the program."""
    os.chdir(place.root + place.workdir)
    os.environ.pop("LD_BIND_NOW", None)  # ours, see host.nsjail
    main.pose()


def prepare(job: Job) -> main.Program:
    """Put the job's files in place, hang up on the host; what is left to do is `main.call`.

    What fails before is told to the host: it is none of the program's doing.
    """
    try:
        return _prepare(job)
    except BaseException as error:  # whatever it was, the program has not begun
        if job.channel.fileno() < 0:  # too late to say so
            raise
        job.channel.sendall(protocol.FAILED + b"%d" % (getattr(error, "errno", None) or 0))
        os._exit(1)


def _prepare(job: Job) -> main.Program:
    header = job.header
    _place(header["files"], job.blobs)
    for path in header["executables"]:
        os.chmod(path, 0o755)  # noqa: S103
    _send_folders(job.channel, header)
    is_python = not place.programs and not _needs_start(header)
    makes = is_python and header["bytecode"] == protocol.MAKE and not _names_a_codec(job.blobs[0])
    limits.bound_open_files(job.open_files)
    if header["merge_streams"]:
        os.dup2(1, 2)
    limits.lower(header, stays=not place.programs)
    if header["strace"]:
        job.channel.close()  # else an exec does, and this process stays
    if place.programs:
        _become(header)
    _set(header["env"])
    if _needs_start(header):
        _execute(header, dict(os.environ))
    if header["live"]:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # as on a terminal
    sys.argv[1:] = header["args"]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[len(place.command) :] = header["args"]
    gallery.install(header["figures"], header["display"])
    code = _handed_back(job) if makes else _given(job)
    program = main.Program(job.blobs[0], header["interpreter_mode"], code)
    job.channel.close()
    gc.freeze()  # our objects are not the program's to find, nor its collector's to look at
    return program


def _names_a_codec(source: bytes) -> bool:
    """Whether the compiler may look for a codec (PEP 263): its import can run a submitted file as well."""
    return any(b"coding" in line for line in source.replace(b"\r", b"\n").split(b"\n", 2)[:2])


def _handed_back(job: Job) -> Any:
    """Compile, hand the bytecode back; None if that fails, as it will again where it is reported."""
    code, is_quiet = main.precompile(job.blobs[0])
    if is_quiet:
        job.channel.sendall(protocol.pack_bytecode(marshal.dumps(code)))
    return code


def _given(job: Job) -> Any:
    """The program compiled by an earlier cell; None if there is none."""
    if job.header["bytecode"] != protocol.HAVE:
        return None
    try:
        return marshal.loads(job.blobs[-1])  # noqa: S302  of this very program, by its own cell
    except (EOFError, ValueError, TypeError):
        return None


def rehearse() -> None:
    """Run a throw-away program through the same code, so that a job finds its memory pages copied already.

    What it prints goes to /dev/null (the standard descriptors are not the job's yet); it leaves no trace.
    """
    head, body = protocol.unpack_head(_REHEARSAL[: protocol.HEAD_BYTES])
    start = protocol.HEAD_BYTES + head
    header, blobs = protocol.unpack_job(_REHEARSAL[protocol.HEAD_BYTES : start], _REHEARSAL[start : start + body])
    _place(header["files"], blobs)
    if not place.programs:
        _set(header["env"])
        main.rehearse(main.Program(blobs[0], header["interpreter_mode"]))
    os.unlink(place.filename)


_REHEARSAL = protocol.pack_job(
    {"args": [], "env": {}, "files": [], "interpreter_mode": False},
    [b"import math\ndef f(x: int) -> int:\n    return x + 1\nprint(f(1), 'a b'.split(), {1: [2.0]})\n"],
)


def _set(variables: dict[str, str]) -> None:
    # Not by `update`, which looks up what kind of mapping it was given, even if nothing is in it.
    for name, value in variables.items():
        os.environ[name] = value


def _place(files: list[str], blobs: list[bytes]) -> None:
    for path, blob in zip([place.filename, *files], blobs):  # noqa: B905  images bring Python 3.8 and 3.9
        if place.origin and os.path.islink(path.partition("/")[0]):
            os.unlink(path.partition("/")[0])  # what the image has there
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
    sys.path_importer_cache.pop(place.workdir, None)


def _send_folders(channel: socket.socket, header: dict[str, Any]) -> None:
    """Send the folders that the host is to read when the program is dead, if any."""
    fds = [os.open(".", os.O_RDONLY | os.O_DIRECTORY)] if header["outputs"] else []
    if header["figures"] or header["display"]:
        fds.append(gallery.make())
    if fds:
        linux.send_fds(channel, protocol.FOLDERS, fds)
    for fd in fds:
        os.close(fd)


def _needs_start(header: dict[str, Any]) -> bool:
    """Whether only an interpreter that starts now can run the job as asked."""
    return (
        header["strace"]
        or any(name.startswith(_START_ONLY) for name in header["env"])
        or any(name in sys.modules for name in _importable(header["files"]))
    )


def _importable(files: list[str]) -> set[str]:
    """Top-level modules that submitted files are: they win over what is preloaded, and over what that imported."""
    modules = set()
    for path in files:
        name, _, rest = path.partition("/")
        if rest.startswith("__init__."):
            modules.add(name)
        elif not rest:
            stem, _, suffix = name.partition(".")
            if suffix.endswith(("py", "pyc", "so")):
                modules.add(stem)
    return modules


def start(modes: dict[str, Any]) -> NoReturn:
    """Run the program in this interpreter, which was started with `_START` and the program's arguments."""
    arguments = sys.argv[1:]
    place.settle(modes["place"])
    main.pose()
    sys.argv += arguments
    if hasattr(sys, "orig_argv"):
        sys.orig_argv += arguments
    gallery.install(modes["figures"], modes["display"])
    with open(place.filename, "rb") as file:
        source = file.read()
    main.leave(main.call(main.Program(source, modes["interpreter_mode"])))


def _become(header: dict[str, Any]) -> NoReturn:
    """Be another program altogether: the command of the job's step."""
    path, *command = place.programs[header["step"]]
    command += header["args"]
    environ = {**place.variables, **header["env"]}
    prelude.become(_trace if header["strace"] else os.execve, path, command, environ)


def _execute(header: dict[str, Any], environ: dict[str, str]) -> NoReturn:
    modes = {name: header[name] for name in _MODES}
    script = ["-c", _START % ({**modes, "place": place.settings()},)] if any(modes.values()) else [place.filename]
    live = ["-u"] if header["live"] else []
    command = [*place.command[:-1], *live, *script, *header["args"]]
    if not header["strace"]:
        os.execve(place.python, command, environ)
    _trace(place.python, command, environ)


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
