"""Dockerfiles without Docker: their instructions, their build context, and their RUN lines, in a folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HOME = "/opt/evalpool"
"""All that our images write."""
INSTRUCTIONS = frozenset({"ARG", "FROM", "COPY", "WORKDIR", "RUN", "ENV", "EXPOSE", "USER", "ENTRYPOINT", "CMD"})


@dataclass(frozen=True)
class Instruction:
    """One line, with what continues it."""

    word: str
    text: str


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def texts(self, word: str) -> list[str]:
        return [one.text for one in self.instructions if one.word == word]

    def variables(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for text in self.texts("ENV") for pair in shlex.split(text))


def parse(file: Path) -> list[Stage]:
    """Stages of a Dockerfile. Raises ValueError on an instruction that is none."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", file.read_text(), flags=re.MULTILINE)).splitlines()
    stages: list[Stage] = []
    for line in filter(str.strip, lines):
        word, _, text = line.partition(" ")
        if word not in INSTRUCTIONS:
            raise ValueError(f"{file.name}: no instruction is called {word}")
        if word == "FROM":
            base, _, name = text.partition(" AS ")
            stages.append(Stage(base, name, ()))
        elif stages:
            last = stages[-1]
            stages[-1] = Stage(last.base, last.name, (*last.instructions, Instruction(word, text.strip())))
    return stages


def context(checkout: Path, target: Path) -> None:
    """Copy what `.dockerignore` lets into a build: it names all that is wanted, and nothing else is."""
    lines = [line for line in (checkout / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*", "everything is left out but what is named"
    for name in [line[1:] for line in lines if line.startswith("!")]:
        source = checkout / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def run(stage: Stage, home: Path) -> None:
    """Run a stage's RUN lines with `home` for the image's folder. Raises CalledProcessError."""
    for text in stage.texts("RUN"):
        command = text.replace(HOME, str(home))
        subprocess.run(["sh", "-ec", command], cwd=home / "src", env=environment(stage, home), check=True, timeout=150)


def environment(stage: Stage, home: Path) -> dict[str, str]:
    """Variables of a stage, over this machine's own that are not ours."""
    outside = {key: value for key, value in os.environ.items() if not key.startswith(("EVAL_", "PYTHON"))}
    told = {key: value.replace(HOME, str(home)) for key, value in stage.variables().items()}
    # The base's interpreter is the one that this suite runs on.
    path = [told.get("PATH", ""), f"{sys.base_prefix}/bin", outside["PATH"]]
    return outside | told | {"PATH": ":".join(filter(None, path))}
