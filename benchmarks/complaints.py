"""What users of services like this complain of, tried on each: output cut, children left, limits that cannot be told
from errors, calls lost under load. One service after the other; every call is bounded.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import targets
from benchmarks.client import Connection, ProtocolViolation
from benchmarks.cluster import cluster
from benchmarks.dialects import Told
from benchmarks.load import Program
from benchmarks.rivals import ours
from benchmarks.targets import Figure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from benchmarks.dialects import Rival

BOUND_S = 60.0
"""Of a call: longer than any of their own limits, so that what has not come then does not come."""
PROMPT_S = 3.0
AT_ONCE = 64
LINES = 1 << 14
OUTPUT = "".join(f"{number:063}\n" for number in range(LINES))
BOTH = 200 << 10
"""Characters on each stream: three pipes full."""
HOG_BYTES = 5 << 30

PRINTS = f"print(*(f'{{n:063}}' for n in range({LINES})), sep='\\n')"
FLOODS = f"""import sys
for _ in range({BOTH} // 4096):
    sys.stdout.write('o' * 4096)
    sys.stderr.write('e' * 4096)"""
LEAVES = """import subprocess, sys
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)  # {mark}'], start_new_session=True)
print('left')"""
LOOPS, RAISES, KILLED = "while True: pass", "raise ValueError", "import os\nos.kill(os.getpid(), 9)"
HOGS = f"kept = [bytearray(b'x') * (64 << 20) for _ in range({HOG_BYTES} // (64 << 20))]\nprint('kept')"
EXITS_255 = "import os\nos._exit(255)"
NUMPY = "import numpy\nprint(numpy.__version__)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one service did."""

    good: bool
    words: str


async def post(rival: Rival, code: str) -> Told:
    """One program on a connection of its own. What does not come is told, not raised."""
    connection = Connection(rival.host, rival.port)
    try:
        async with asyncio.timeout(BOUND_S):
            status, body, _ = await connection.request(rival.encode(Program(code=code, stdout=None)))
    except TimeoutError:
        return Told(f"no answer in {BOUND_S:g} s", ok=False)
    except (OSError, ProtocolViolation) as error:
        return Told(type(error).__name__, ok=False)
    finally:
        connection.close()
    return rival.told(status, body)


async def output_whole(rival: Rival) -> Finding:
    told = await post(rival, PRINTS)
    came = f"{len(told.stdout):,} of {len(OUTPUT):,} characters, {told.said}"
    return Finding(good=told.stdout == OUTPUT and told.ok, words="whole" if told.stdout == OUTPUT else came)


async def both_streams_whole(rival: Rival) -> Finding:
    """More than a pipe holds on both; a service may give them as one."""
    told = await post(rival, FLOODS)
    out, err = (f"{told.stdout}{told.stderr}".count(one) for one in "oe")
    whole = out == err == BOTH
    return Finding(good=whole and told.ok, words="whole" if whole else f"{out:,} and {err:,}, {told.said}")


async def child_ended(rival: Rival) -> Finding:
    """A program leaves a child that sleeps and holds its streams."""
    mark, start = f"left-{secrets.token_hex(8)}", time.monotonic()
    told = await post(rival, LEAVES.format(mark=mark))
    took_s = time.monotonic() - start
    await asyncio.sleep(0.5)
    lives = runs(mark)
    answered = "left" in told.stdout and took_s < PROMPT_S
    came = f"{'answered' if 'left' in told.stdout else told} after {took_s:.1f} s"
    words = f"{came}, the child {'lives on' if lives else 'is gone'}"
    return Finding(good=answered and not lives, words=words)


def runs(mark: str) -> bool:
    """Whether any process of this machine has the mark in its command line."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int(folder.name) != os.getpid() and mark.encode() in (folder / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


async def loop_told_apart(rival: Rival) -> Finding:
    loop, error = await post(rival, LOOPS), await post(rival, RAISES)
    return Finding(good=not loop.ok and loop.said != error.said, words=f"loop: {loop}; error: {error}")


async def hog_told_apart(rival: Rival) -> Finding:
    """From an error, an endless loop, and a program that kills itself."""
    hog = await post(rival, HOGS)
    if "kept" in hog.stdout:
        return Finding(good=False, words=f"no limit met in {HOG_BYTES >> 30} GiB")
    others = {"error": RAISES, "SIGKILL": KILLED, "loop": LOOPS}
    same = [name for name, code in others.items() if (await post(rival, code)).said == hog.said]
    words = f"{hog}, as {' and '.join(same)}" if same else f"{hog}"
    return Finding(good=not hog.ok and not same, words=words)


async def own_failure_told_apart(rival: Rival) -> Finding:
    """From anything a program can do; what its own failure looks like is what its sources say."""
    told, broken = await post(rival, EXITS_255), rival.dialect.broken
    words = f"exit 255: {told}; its own failure: {broken or 'in no field'}"
    return Finding(good=broken not in {None, told.said}, words=words)


async def many_at_once(rival: Rival) -> Finding:
    start = time.monotonic()
    answers = await asyncio.gather(*(post(rival, f"print({n} * {n})") for n in range(AT_ONCE)))
    took_s = time.monotonic() - start
    right = sum(told.ok and told.stdout == f"{n * n}\n" for n, told in enumerate(answers))
    bad = Counter(str(told) for n, told in enumerate(answers) if told.stdout != f"{n * n}\n")
    others = "".join(f"; {count} times {said}" for said, count in bad.most_common(2))
    return Finding(good=right == AT_ONCE, words=f"{right} right in {took_s:.1f} s{others}")


async def numpy_works(rival: Rival) -> Finding:
    told = await post(rival, NUMPY)
    version = told.stdout.strip()
    return Finding(good=told.ok and version[:1].isdigit(), words=version or str(told))


_TRIED: Sequence[Callable[[Rival], Awaitable[Finding]]] = (
    numpy_works,
    output_whole,
    both_streams_whole,
    child_ended,
    loop_told_apart,
    hog_told_apart,
    own_failure_told_apart,
    many_at_once,
)
Found = dict[str, dict[str, Finding]]
"""By service and complaint."""


def measure(others: Sequence[Rival], *, say: Callable[[str], None]) -> Found:
    """Try everything on Evalpool, on a cluster of its own, and on each of the others. Raises ClusterFailed, OSError."""
    found: Found = {}
    with cluster() as running:
        for rival in (ours(running.endpoint), *others):
            say(f"complaints: {rival.label}")
            found[rival.label] = asyncio.run(_all(rival))
    return found


async def _all(rival: Rival) -> dict[str, Finding]:
    return {name: await tried(rival) for name, tried in zip(targets.COMPLAINTS, _TRIED, strict=True)}


def figures_of(found: Found) -> Iterator[Figure]:
    """1 where a service did right. Only ours is judged."""
    for label, findings in found.items():
        for name, finding in findings.items():
            title = targets.complaint(name) if label == "evalpool" else f"{label}: {name}"
            yield Figure(name=title, value=finding.good, unit="of 1")


def details_of(found: Found) -> dict[str, object]:
    """What each did, in words."""
    return {label: {name: asdict(one) for name, one in findings.items()} for label, findings in found.items()}
