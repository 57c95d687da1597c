"""A bar on a terminal; elsewhere a line per step. On stderr, like everything that is not a result."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

_PAUSES = 20
"""Times what a look took: a hundred thousand files may be unpacked."""


class Steps:
    """A context manager: what is being done, and how far it is."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @contextmanager
    def step(self, words: str, *, total_bytes: int = 0, grows: Path | None = None) -> Iterator[Callable[[], None]]:
        """One step; what it gives is to be called now and then, and looks how large the folder `grows` has become."""
        if not self._console.is_terminal:
            self._console.print(f"evalpool: {words}", highlight=False, soft_wrap=True)
        task = self._bar.add_task(words, total=total_bytes or None)

        due_at = 0.0

        def look() -> None:
            nonlocal due_at
            began = time.monotonic()
            if grows is not None and self._console.is_terminal and began > due_at:
                self._bar.update(task, completed=size_of(grows))
                due_at = time.monotonic() + _PAUSES * (time.monotonic() - began)

        yield look
        self._bar.update(task, total=total_bytes or 1, completed=total_bytes or 1)


def size_of(folder: Path) -> int:
    """Of all files below a folder that others write to, bytes."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # renamed or removed meanwhile
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118  many times
    return total
