"""Large blocks are mapped one by one, however large a block was freed before."""

import ctypes
import subprocess
import sys

import pytest

from evalctl.bootstrap import CHECKOUT

PROGRAM = """
import ctypes
from worker.memory import give_back_large_blocks

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo
if {fixed}:
    give_back_large_blocks()
large = bytearray(1 << 20)
del large
before = mallinfo().hblks
block = bytearray(1_000_000)
print(mallinfo().hblks - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="not glibc >= 2.33")
@pytest.mark.parametrize(("fixed", "mapped"), [(True, "1"), (False, "0")])
def test_a_large_block_is_mapped_by_itself(fixed, mapped):
    code = PROGRAM.format(fixed=fixed)
    ended = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == mapped
