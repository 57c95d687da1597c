"""Install what is locked into the state folder: the service's venv and the default environment.

`python3 -m evalctl.bootstrap` with the standard library only: it runs before anything is installed.
Everything is written inside the state folder (pip's cache and temporary files too). A finished folder
carries a `.complete` file that names what is in it, so the next start asks nothing of the network; an
interrupted one is made anew.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evalctl import guards, scratch, tether

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHECKOUT = Path(__file__).resolve().parent.parent
_ENVIRONMENTS = CHECKOUT / "sandbox" / "environments"
_PARTS = ("venv", "environments", "images", "tools", "cache", "pycache", "tmp", "run", "token", "setup.log")
_OPERATORS = ("environments.toml",)
"""Written by an operator, also by `evalctl image`: nothing could bring it back."""


_LIST_FONTS = """
import os, sys
os.environ.update(MPLCONFIGDIR=sys.argv[1], HOME="/nonexistent", XDG_DATA_HOME="/nonexistent")
from matplotlib import font_manager, get_data_path
fonts, shown = font_manager.fontManager, (get_data_path(), "/usr/")
for listed in ("ttflist", "afmlist"):  # what cells see of them
    setattr(fonts, listed, [font for font in getattr(fonts, listed) if font.fname.startswith(shown)])
font_manager.json_dump(fonts, os.path.join(sys.argv[1], f"fontlist-v{fonts.__version__}.json"))
"""


class BootstrapError(Exception):
    """Something could not be installed; the message is one sentence for people."""


def ensure_venv(state: Path, *, dev: bool) -> Path:
    """Make or bring up to date the service's venv; `dev` adds the tools for tests and checks."""
    venv = state / "venv"
    locks = [CHECKOUT / "requirements.lock"] + [CHECKOUT / "requirements-dev.lock"] * dev
    wanted = {f"{lock.name} {_digest(lock)}" for lock in locks} | {_interpreter()}
    with locked(state):
        marker = venv / ".complete"
        present = set(marker.read_text().splitlines()) if marker.exists() else set()
        if wanted <= present:
            return venv
        # Tools beside what a service runs on do not touch it. Anything else would be changed under its feet.
        only_tools = {line for line in wanted if not line.startswith("requirements-dev")} <= present
        if not only_tools:
            _require_stopped(state, present)
        _require_ensurepip()
        if _interpreter() not in present:
            _step(f"creating {venv}")
            _run(state, [sys.executable, "-m", "venv", "--clear", str(venv)])
        marker.unlink(missing_ok=True)
        # Bytecode is made on first use: compiling everything now would cost more.
        _pip(state, venv, "--no-compile", "--require-hashes", "-r", str(locks[-1]))
        if not only_tools:
            _pip(state, venv, "--no-build-isolation", "-e", str(CHECKOUT))
        _complete(marker, wanted | {line for line in present if not line.startswith("requirements")})
    return venv


def _require_stopped(state: Path, present: set[str]) -> None:
    """Raise BootstrapError while a service runs from the venv that is to be changed."""
    if not guards.is_owned(state):
        return
    was = next((line for line in present if line.startswith("python ")), "unknown")
    changed = "the locked packages are others now" if was == _interpreter() else f"it was made for {was}"
    raise BootstrapError(
        f"Evalpool runs on {state}, from a venv that would have to be made anew ({changed}): "
        "stop it first, or set another EVAL_STATE_DIR"
    )


def environment_root(state: Path, name: str = "default") -> Path:
    """Folder of the environment as locked now, for this interpreter."""
    lock = _ENVIRONMENTS / f"{name}.lock"
    digest = hashlib.sha256(f"{_digest(lock)} {_interpreter()}".encode()).hexdigest()[:12]
    return state / "environments" / f"{name}-{digest}"


def ensure_environment(state: Path, name: str = "default") -> Path:
    """Install an environment's packages, once, into a venv of its own that shares nothing with ours."""
    root = environment_root(state, name)
    marker = root / ".complete"
    if marker.exists():
        return root
    with locked(state):
        if marker.exists():
            return root
        # Cells run as other users: what they import must be readable whatever the caller's umask.
        os.umask(0o022)
        _step(f"creating {root}")
        shutil.rmtree(root, ignore_errors=True)
        # By its real path: a cell sees the interpreter's own folder, but none with a link to it (~/bin/python3).
        _run(state, [os.path.realpath(sys.executable), "-m", "venv", "--without-pip", str(root)])
        lock = _ENVIRONMENTS / f"{name}.lock"
        _pip(state, root, "--no-compile", "--require-hashes", "-r", str(lock))
        _step("compiling the environment's packages")
        # Sandboxes see it read-only: bytecode that is missing now is missing for ever.
        compileall = ["-m", "compileall", "-q", "-j", "0", "-x", r"/tests?/", str(root / "lib")]
        _run(state, [str(root / "bin" / "python"), *compileall], may_fail=True)
        _list_fonts(state, root)
        _complete(marker, {lock.name})
    return root


def _list_fonts(state: Path, root: Path) -> None:
    """Have matplotlib make its list of fonts, which each program that plots would make anew (`host.programs.links`)."""
    fonts = root / "share" / "matplotlib"
    fonts.mkdir(parents=True, exist_ok=True)
    _run(state, [str(root / "bin" / "python"), "-B", "-c", _LIST_FONTS, str(fonts)], may_fail=True)


def clean(state: Path) -> None:
    """Remove what this project put into the state folder, and the folder if nothing else is in it.

    What an operator wrote stays, and that is said.
    """
    with (state / "up.lock").open("w") as running:
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BootstrapError(f"Evalpool runs on {state}; stop it first") from None
        for part in _PARTS:
            path = state / part
            # An image may have folders that not even their owner may write to.
            scratch.remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for lock in ("up.lock", "setup.lock"):
        (state / lock).unlink(missing_ok=True)
    for kept in (state / name for name in _OPERATORS):
        if kept.exists():
            _step(f"{kept} is your own and stays")
    with contextlib.suppress(OSError):
        state.rmdir()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _interpreter() -> str:
    """Name the base interpreter, seen alike from inside and outside a venv."""
    return f"python {sys.version.split()[0]} {sys.base_prefix}"


def _complete(marker: Path, lines: set[str]) -> None:
    """Write the marker in one step: it is there whole or not at all."""
    partial = marker.with_suffix(".partial")
    partial.write_text("\n".join(sorted(lines)) + "\n")
    partial.rename(marker)


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Let one installer at a time work on the state folder."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require_ensurepip() -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise BootstrapError(
            f"{sys.executable} cannot make virtual environments; run: apt install python{version}-venv",
        )


def _pip(state: Path, target: Path, *arguments: str) -> None:
    """Install into `target`, with the pip of the service's venv; shows one line of progress per package."""
    options = ["--no-deps", "--no-cache-dir", "--only-binary=:all:", "--disable-pip-version-check"]
    # An installed evalctl has no venv in the state folder: it is in one itself.
    ours = state / "venv" / "bin" / "python"
    python = str(ours if ours.exists() else sys.executable)
    pip = [python, "-m", "pip", "--python", str(target / "bin" / "python")]
    total = sum(_counts(Path(a)) for a in arguments if a.endswith(".lock"))
    _run(state, [*pip, "install", "--no-input", "--progress-bar=off", *options, *arguments], packages=total)


def _counts(lock: Path) -> int:
    """Count a lock's packages, for the progress line; markers may leave a few out."""
    return sum(line[:1].isalnum() for line in lock.read_text().splitlines())


def _run(state: Path, argv: list[str], *, packages: int = 0, may_fail: bool = False) -> None:
    """Run an installer tied to us, its output in `setup.log`; its packages are counted on the terminal."""
    temporary = state / "tmp"
    temporary.mkdir(exist_ok=True)
    # Without the bytecode prefix: an environment's bytecode belongs beside its modules.
    environment = {**os.environ, "TMPDIR": str(temporary)}
    environment.pop("PYTHONPYCACHEPREFIX", None)
    log = state / "setup.log"
    with (
        log.open("w") as sink,
        subprocess.Popen(
            tether.tethered(argv),
            env=environment,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        for line in _counted(process.stdout or (), packages):
            sink.write(line)
    if process.returncode != 0 and not may_fail:
        tail = "".join(log.read_text().splitlines(keepends=True)[-8:])
        raise BootstrapError(f"installing failed; {log} ends with:\n{tail}")


def _counted(lines: Iterable[str], packages: int) -> Iterator[str]:
    """Pass pip's lines on, showing each package on the terminal."""
    done = 0
    for line in lines:
        # pip says "Processing" of a wheel in a folder of this machine.
        if packages and line.startswith(("Collecting ", "Processing ")):
            done += 1
            _step(f"  {done}/{packages} {Path(line.split()[1]).name}")
        elif packages and line.startswith("Installing collected"):
            _step("  unpacking")
        yield line


def _step(text: str) -> None:
    """One line of progress; on stderr, like everything that is not a result."""
    print(f"evalpool: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """`python3 -m evalctl.bootstrap STATE [--dev] [--environment] [--clean]`, from the Makefile."""
    parser = argparse.ArgumentParser(prog="evalctl.bootstrap")
    parser.add_argument("state", type=Path)
    parser.add_argument("--dev", action="store_true", help="also the tools for tests and checks")
    parser.add_argument("--environment", action="store_true", help="also the default environment")
    parser.add_argument("--clean", action="store_true", help="remove everything instead")
    parser.add_argument("--die-with-parent", type=int, metavar="PID")
    options = parser.parse_args()
    try:
        if options.die_with_parent:
            tether.die_with(options.die_with_parent)
        if options.clean:
            if options.state.exists():
                clean(options.state)
            return
        ensure_venv(options.state, dev=options.dev)
        if options.environment:
            ensure_environment(options.state)
    except (BootstrapError, OSError) as error:
        sys.exit(f"evalpool: {error}")
    except KeyboardInterrupt:
        sys.exit("evalpool: interrupted; the next start takes it up again")


if __name__ == "__main__":
    main()
