"""Says that cells may run in an image, by a lock on its root: who removes the image waits until that is given up."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def held(root: Path | None) -> Iterator[None]:
    """Hold a root, where there is one and its file system has locks; a process that is killed gives it up."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            if root is not None:
                descriptor = os.open(root, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
