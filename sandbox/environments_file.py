"""`environments.toml` -> environments. Every fault is told with the line it is in; nothing is guessed.

A table per environment, by its name. `[default]` is there without being written; what is written of it counts.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sandbox.config import CellLimits
from sandbox.environment import (
    Environment,
    Kind,
    kind_of,
    tiers_for,
    tiers_with,
)
from sandbox.preludes import PRELUDES, prelude_of
from sandbox.presets import EXEC_TIERS, PRESETS
from sandbox.toml_lines import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DEFAULT = "default"
IMAGE_FILE, ROOT_FOLDER = "image.json", "rootfs"
"""What the folder of an image holds: what is known of it, and its root."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}")
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
_VARIABLE = re.compile(r"[^\W\d]\w*", re.ASCII)
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")
_LIMITS = ("processes", "open_files", "file_bytes", "disk_bytes", "inodes")
_NOT_WORKDIRS = ("/proc", "/sys", "/dev", "/etc", "/evalpool", "/tmp", "/var/tmp", "/opt/python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong with the file."""

    file: str
    """Or the name of a variable."""
    line: int
    """0: of a variable."""
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}" if self.line else f"{self.file}: {self.message}"


class EnvironmentsError(ValueError):
    """The file cannot be used; says every fault, a line each."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


def load(file: Path, images: Path, default: Environment) -> dict[str, Environment]:
    """Environments by name, `default` first. No file: that one alone. Raises EnvironmentsError.

    `images` is the folder of unpacked images, `default` what the default environment is if nothing is written of it.
    """
    try:
        text = file.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        return {DEFAULT: default}
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentsError([Fault(file=str(file), line=1, message=f"cannot be read: {error}")]) from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        number = int(line[1]) if line else text.count("\n") + 1
        raise EnvironmentsError([Fault(file=str(file), line=number, message=str(error))]) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, as many brackets
        raise EnvironmentsError([Fault(file=str(file), line=1, message=f"cannot be read: {error}")]) from None
    found, faults = {DEFAULT: default}, []
    for name, table in tables.items():
        base = default if name == DEFAULT else Environment(name=name, packages=default.packages, tiers=default.tiers)
        try:
            found[name] = environment_of(name, table, base, images=images, folder=file.parent)
        except _Wrong as error:
            faults += [
                Fault(file=str(file), line=line_of(text, name, key), message=f"[{name}] {words}")
                for key, words in error.faults
            ]
    if faults:
        raise EnvironmentsError(faults)
    return found


_VARIABLES = {"filename": "EVAL_FILENAME", "command": "EVAL_RUN_COMMAND", "env": "EVAL_ENV"}


def with_variables(default: Environment, **values: str | None) -> Environment:
    """Give the default environment what the variables say: `filename`, `command`, `env`. Raises EnvironmentsError."""
    table: dict[str, Any] = {key: value for key, value in values.items() if value}
    try:
        if "env" in table:
            table["env"] = variables_of(table["env"])
        return environment_of(DEFAULT, table, default, images=Path(), folder=Path())
    except _Wrong as error:
        faults = [
            Fault(file=_VARIABLES[key or "filename"], line=0, message=words.removeprefix(f"{key}: "))
            for key, words in error.faults
        ]
        raise EnvironmentsError(faults) from None


def variables_of(text: str) -> dict[str, str]:
    """Variables out of a JSON object, or out of `NAME=VALUE` words as in a shell. Raises what `load` handles."""
    try:
        if text.lstrip().startswith("{"):
            parsed: dict[str, str] = json.loads(text)
            return parsed
        pairs = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise _Wrong([("env", f"env: cannot be read: {error}")]) from None
    if not all(equals for _, equals, _ in pairs):
        raise _Wrong([("env", "env: must be a JSON object, or NAME=VALUE words")])
    return {name: value for name, _, value in pairs}


class _Wrong(ValueError):  # noqa: N818
    def __init__(self, faults: list[tuple[str | None, str]]) -> None:
        super().__init__(faults)
        self.faults = faults
        """Key (None: the table itself) and what is wrong with it."""


def environment_of(name: str, table: Any, base: Environment, *, images: Path, folder: Path) -> Environment:
    """One table on top of `base`. Raises what `load` makes an EnvironmentsError."""
    if not _NAME.fullmatch(name):
        raise _Wrong([(None, "is not a name for an environment: letters, digits and ._:/@- are")])
    if not isinstance(table, dict):
        raise _Wrong([(None, "must be a table")])
    faults: list[tuple[str | None, str]] = [
        (key, f"{key}: {words}") for key, value in table.items() if (words := _fault(key, value))
    ]
    if len({"image", "directory"} & table.keys()) > 1:
        faults.append(("directory", "directory: the image is the root already; say one of the two"))
    if faults:
        raise _Wrong(faults)
    if "preset" in table:
        base = _with_preset(base, PRESETS[table["preset"]])
    return _with_command(_with_root(base, table, images, folder), table)


def _with_preset(base: Environment, preset: Environment) -> Environment:
    """`base` with the file, the commands and the limits of a language."""
    return replace(
        base,
        filename=preset.filename,
        command=preset.command,
        compile=preset.compile,
        binary=preset.binary,
        trial=preset.trial,
        kind=preset.kind,
        limits=preset.limits,
    )


def _with_root(base: Environment, table: Mapping[str, Any], images: Path, folder: Path) -> Environment:
    """`base` with root, packages and variables as the table has them; an image brings some of its own."""
    if "packages" in table:
        packages = folder / table["packages"]
        with _looking("packages"):
            if not (packages / "bin" / "python3").exists():
                raise _Wrong([("packages", f"packages: there is no Python in {packages}")])
            base = replace(base, packages=packages, tiers=tiers_for(packages))
    root, about = None, {}
    if "image" in table:
        digest = table["image"].removeprefix("sha256:")
        home = images / digest
        about = _about(home, digest)
        root, base = home / ROOT_FOLDER, replace(base, digest=f"sha256:{digest}")
    elif "directory" in table:
        root = folder / table["directory"]
        with _looking("directory"):
            if not root.is_dir():
                raise _Wrong([("directory", f"directory: there is no folder {root}")])
    if root is not None:
        variables = {**about.get("env", {}), **base.variables}
        workdir = about.get("workdir") or base.workdir
        base = replace(base, image=root, packages=None, variables=variables, workdir=workdir, tiers=tiers_with(()))
    return replace(
        base,
        workdir=table.get("workdir", base.workdir),
        variables={**base.variables, **table.get("env", {})},
        outputs=tuple(table.get("outputs", base.outputs)),
        limits=replace(base.limits or CellLimits(), **table["limits"]) if "limits" in table else base.limits,
    )


@contextmanager
def _looking(key: str) -> Iterator[None]:
    """Look at what a key names: where we may not look, or cannot, the key is wrong."""
    try:
        yield
    except OSError as error:
        raise _Wrong([(key, f"{key}: {error}")]) from None


def _about(image: Path, digest: str) -> dict[str, Any]:
    """What is known of an unpacked image."""
    try:
        about: Any = json.loads((image / IMAGE_FILE).read_text())
    except (OSError, ValueError):
        raise _Wrong([("image", f"image: there is no image {digest[:12]} here (evalctl image list)")]) from None
    variables = about.get("env", {}) if isinstance(about, dict) else None
    if isinstance(variables, dict) and all(isinstance(text, str) for text in variables.values()):
        return dict(about)
    raise _Wrong([("image", f"image: {image / IMAGE_FILE} is not as evalctl writes it")])


def _with_command(base: Environment, table: Mapping[str, Any]) -> Environment:
    """`base` with the program's file and run command, and the kind and tiers that follow from them."""
    filename = table.get("filename", base.filename)

    def words(key: str, inherited: tuple[str, ...]) -> tuple[str, ...]:
        if key in table:
            return tuple(words_of(table[key]))
        return tuple(filename if word == base.filename else word for word in inherited)

    command, compiling = words("command", base.command), words("compile", base.compile)
    binary, reader = table.get("binary", base.binary), "compile" if compiling else "command"
    if bool(compiling) != bool(binary):
        raise _Wrong([("compile", "compile: and binary, the file that it makes, belong together")])
    if filename not in (compiling or command):
        raise _Wrong([(reader, f"{reader}: does not name the file {filename}, so no program would ever run")])
    if compiling and f"./{binary}" not in command:
        raise _Wrong([("command", f"command: does not name ./{binary}, which the compile command makes")])
    kind = Kind(table["kind"]) if "kind" in table else kind_of(command, filename)
    if kind is Kind.PYTHON and kind_of(command, filename) is not Kind.PYTHON:
        raise _Wrong([("kind", f"kind: `{' '.join(command)}` is not Python, its options and {filename}: say exec")])
    startable = "" if compiling or kind is Kind.PYTHON else prelude_of(command, filename, base.variables)
    warm = table.get("warm", startable) or ""
    if warm != startable and warm:
        raise _Wrong([("warm", f"warm: `{' '.join(command)}` cannot be started as {warm} before there is a program")])
    tiers = base.tiers
    if kind is Kind.EXEC:
        tiers = EXEC_TIERS
    elif "preload" in table:
        tiers = (*tiers, *tiers_with(table["preload"])[2:])
    return replace(
        base,
        filename=filename,
        command=command,
        compile=compiling,
        binary=binary,
        trial=table.get("trial", base.trial if "preset" in table else ""),
        warm=warm,
        kind=kind,
        tiers=tiers,
    )


def words_of(command: str | list[str]) -> list[str]:
    """Words of a run command, as a shell would split them. Raises ValueError."""
    return shlex.split(command) if isinstance(command, str) else command


def _fault(key: str, value: Any) -> str | None:
    """What is wrong with one key of a table, in words; None if nothing is."""
    check = _CHECKS.get(key)
    if check is None:
        return f"there is no such key; there are {', '.join(_CHECKS)}"
    return check(value)


def _text(pattern: re.Pattern[str], words: str) -> Callable[[Any], str | None]:
    return lambda value: None if isinstance(value, str) and pattern.fullmatch(value) else words


def _list(pattern: re.Pattern[str], words: str) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        good = isinstance(value, list) and all(isinstance(item, str) and pattern.fullmatch(item) for item in value)
        return None if good else words

    return check


def _command(value: Any) -> str | None:
    words = value
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            return f"cannot be split into words: {error}"
    good = isinstance(words, list) and words and all(isinstance(w, str) and w and "\0" not in w for w in words)
    return None if good else "must be a command line, or a list of words"


def _workdir(value: Any) -> str | None:
    if not isinstance(value, str) or str(PurePosixPath(value)) != value or ".." in PurePosixPath(value).parts:
        return "must be an absolute path without . or .. in it"
    if not value.startswith("/") or value == "/" or any(f"{value}/".startswith(f"{top}/") for top in _NOT_WORKDIRS):
        return f"must be a folder of its own below /, and not in {', '.join(_NOT_WORKDIRS)}"
    return None


def _env(value: Any) -> str | None:
    good = isinstance(value, dict) and all(
        _VARIABLE.fullmatch(name) and isinstance(text, str) and "\0" not in text for name, text in value.items()
    )
    return None if good else "must be a table of variables, each a text"


def _limits(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "must be a table"
    for name, number in value.items():
        if name not in _LIMITS:
            return f"there is no limit {name}; there are {', '.join(_LIMITS)}"
        if type(number) is not int or number <= 0:
            return f"{name} must be a whole number above 0"
    return None


_ANY = re.compile(r"[^\0]+")
_NOT_WARM = f"must be false, or one of {', '.join(PRELUDES)}"
_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "image": _text(_DIGEST, "must be the digest of an image: 64 hexadecimal digits (evalctl image list)"),
    "directory": _text(_ANY, "must be the path of an unpacked root"),
    "packages": _text(_ANY, "must be the path of a virtual environment"),
    "preset": _text(re.compile("|".join(PRESETS)), f"must be one of {', '.join(PRESETS)}"),
    "filename": _text(_FILENAME, "must be the plain name of a file, such as main.py"),
    "command": _command,
    "compile": _command,
    "binary": _text(_FILENAME, "must be the plain name of a file, such as main"),
    "trial": _text(re.compile(r"[^\0]+"), "must be a program that prints ok"),
    "kind": _text(re.compile("python|exec"), 'must be "python" or "exec"'),
    "warm": lambda value: None if value is False or (isinstance(value, str) and value in PRELUDES) else _NOT_WARM,
    "workdir": _workdir,
    "env": _env,
    "preload": _list(_MODULE, "must be a list of names of modules"),
    "outputs": _list(_ANY, "must be a list of globs"),
    "limits": _limits,
}


def keys() -> Iterator[str]:
    """Every key that a table may have."""
    yield from _CHECKS
