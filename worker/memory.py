"""What a run's output took goes back to the system.

glibc learns from the first large block that is freed to take later ones from its heap, where small blocks that live
on pin them down: a worker of loud programs then grows for hours. A fixed bound keeps large blocks out of the heap.
"""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3
"""Of <malloc.h>; mallopt(3) says that setting it ends the learning."""
_LARGE_BYTES = 1 << 16


def give_back_large_blocks() -> None:
    """Have every block from 64 KiB on that no free part of the heap holds mapped by itself, and unmapped when freed.

    No-op without glibc.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
