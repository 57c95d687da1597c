"""pip, for packages of programs: what it is asked for, and what went wrong in a sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING

from evalctl import tether
from evalctl.settings import child_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:[<>=!~;@(].*)?")
_SENTENCES = (
    (r"No space left on device", "the disk is full; nothing was changed"),
    (r"Could not find a version that satisfies the requirement (?P<what>.+?) \(from versions: none\)",
     "there is no package {what} with a wheel for this Python (sources are not built)"),
    (r"Could not find a version that satisfies the requirement (?P<what>.+?) \(from versions: (?P<more>.+?)\)",
     "there is no {what}; there is {more}"),
    (r"No matching distribution found for (?P<what>.+)", "there is no package {what} with a wheel for this Python"),
    (r"ResolutionImpossible|conflicting dependencies", "what was asked for is in conflict with itself: {tail}"),
    (r"DO NOT MATCH THE HASHES", "a package does not have the hash that was asked for"),
    (r"Invalid requirement: (?P<what>.+)", "{what} is no requirement such as scipy==1.14"),
    (r"Temporary failure in name resolution|Failed to establish a new connection|Connection refused",
     "the package index cannot be reached"),
)  # fmt: skip


class InstallError(Exception):
    """Packages could not be installed; the message is one sentence for people."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where packages are looked for: options of pip, as the operator gave them."""

    index_url: str | None = None
    find_links: Sequence[str] = field(default=())
    no_index: bool = False

    def options(self) -> list[str]:
        """Options for pip's command line."""
        found = [f"--find-links={place}" for place in self.find_links]
        found += [f"--index-url={self.index_url}"] if self.index_url else []
        return [*found, "--no-index"] if self.no_index else found


class Installer:
    """pip of the service's own environment, working on a folder of packages."""

    def __init__(self, state: Path, root: Path) -> None:
        self._temporary = state / "tmp"
        self._python = root / "bin" / "python"

    def install(self, requirements: Sequence[str], sources: Sources, pins: Sequence[str] = ()) -> None:
        """Install, from wheels only: what is built from source would run here, outside of any wall.

        `pins`: versions to keep to, where a package is wanted at all. Raises InstallError.
        """
        self._temporary.mkdir(parents=True, exist_ok=True)
        wanted, pinned = self._temporary / "requirements.txt", self._temporary / "constraints.txt"
        wanted.write_text("".join(f"{line}\n" for line in requirements))
        pinned.write_text("".join(f"{line}\n" for line in pins))
        options = ["--only-binary=:all:", "--no-input", "--progress-bar=off", "--no-warn-script-location"]
        self._pip("install", *options, *sources.options(), "-c", str(pinned), "-r", str(wanted))

    def check(self) -> None:
        """Raise InstallError if packages do not go together."""
        try:
            self._pip("check")
        except InstallError as error:
            raise InstallError(f"the packages would not go together: {error}") from None

    def _pip(self, *arguments: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", str(self._python), "--disable-pip-version-check"]
        # No bytecode elsewhere: what cells import must lie beside its sources.
        variables = {"TMPDIR": str(self._temporary), "PIP_CACHE_DIR": str(self._temporary.parent / "cache" / "pip")}
        done = subprocess.run(
            tether.tethered([*pip, *arguments], background=True),
            env=_environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise InstallError(sentence(done.stderr or done.stdout))


def installed(root: Path) -> dict[str, Distribution]:
    """Canonical name -> package, of all that is installed in an environment."""
    site = [str(folder) for folder in root.glob("lib/python3*/site-packages")]
    return {canonical(found.metadata["Name"]): found for found in distributions(path=site)}


def versions(root: Path) -> dict[str, str]:
    """Canonical name -> version, likewise."""
    return {name: found.version for name, found in installed(root).items()}


def name_of(requirement: str) -> str:
    """Canonical name of the package that a requirement asks for. Raises InstallError."""
    match = _NAME.fullmatch(requirement.partition(" --hash")[0].strip())
    if not match:
        raise InstallError(f"{requirement!r} is no requirement such as scipy==1.14")
    return canonical(match[1])


def canonical(name: str) -> str:
    """Name under which a package index knows a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lines_of(file: Path) -> list[str]:
    """Requirements of a requirements file. Raises InstallError, OSError."""
    text = re.sub(r"\s*\\\n\s*", " ", file.read_text(encoding="utf-8"))
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()]
    for line in filter(None, lines):
        if line.startswith("-"):
            raise InstallError(f"{file}: {line.split()[0]} is not taken from a file, only as an option")
        name_of(line)
    return [line for line in lines if line]


def sentence(said: str) -> str:
    """What pip said in one sentence."""
    tail = " ".join(said.strip().splitlines()[-3:])[-600:]
    for pattern, words in _SENTENCES:
        match = re.search(pattern, said)
        if match:
            return words.format(**{"tail": tail, **match.groupdict()})
    return tail or "pip failed and did not say why"


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Without the service's own settings: pip runs on the layer's interpreter, which runs `.pth` files of packages."""
    environment = child_environment(**variables)
    environment.pop("PYTHONPYCACHEPREFIX", None)
    return {name: value for name, value in environment.items() if not name.startswith("EVAL_")}
