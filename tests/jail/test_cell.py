"""What a program finds around it: its own processes, its own network, its own files, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from walls import MODE

from sandbox import Ending, Limits, RunSpec, ending_of

if TYPE_CHECKING:
    from sandbox import Sandbox

pytestmark = pytest.mark.jail

FACTS = """
import json, os, resource, signal, socket, sys
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
    "caps": {name: int(status[name], 16) for name in status if name.startswith("Cap")},
    "no_new_privs": status["NoNewPrivs"], "seccomp": status["Seccomp"], "threads": status["Threads"],
    "pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "session": os.getsid(0),
    "fds": [fd for fd in range(1024) if os.path.exists(f"/proc/self/fd/{fd}")],
    "environ": dict(os.environ), "cwd": os.getcwd(), "files": os.listdir("."), "tmp": os.listdir("/tmp"),
    "proc": sorted(os.listdir("/proc")), "dev": sorted(os.listdir("/dev")), "shm": os.listdir("/dev/shm"),
    "hostname": socket.gethostname(), "interfaces": socket.if_nameindex(), "umask": os.umask(0o022),
    "nice": os.nice(0), "masked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "core": resource.getrlimit(resource.RLIMIT_CORE), "argv": sys.argv, "path": sys.path[0],
}))
"""
LOOKUPS = """
import grp, os, pwd, socket
me, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
print(pwd.getpwnam(me.pw_name) == me, grp.getgrnam(group.gr_name) == group)
print(socket.getservbyport(socket.getservbyname("https")), socket.getprotobyname("udp"))
"""
DEVICES = ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]


async def run(sandbox: Sandbox, code: str, **spec: Any) -> bytes:
    """On a crowded machine a program that starts others may take its time."""
    report = await sandbox.run(RunSpec(code=code, **{"limits": Limits(wall_s=60.0), **spec}))
    assert ending_of(report) is Ending.OK, report
    return report.stdout


async def test_the_facts_of_a_cell(counted: Sandbox) -> None:
    facts = json.loads(await run(counted, FACTS))
    uid = facts.pop("uid")[0]

    assert 10000 <= uid < 11024
    assert facts.pop("gid") == [uid] * 3
    assert facts.pop("groups") in ([], [65534])
    assert facts == {
        "caps": dict.fromkeys(["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"], 0),
        "no_new_privs": "1",
        "seccomp": "2",
        "threads": "1",
        "pid": 2,
        "parent": 0,
        "group": 2,
        "session": 2,
        "fds": [0, 1, 2],
        "environ": {
            "PATH": "/opt/python/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "OPENBLAS_NUM_THREADS": str(min(8, os.cpu_count() or 1)),
            "OMP_NUM_THREADS": str(min(8, os.cpu_count() or 1)),
        },
        "cwd": "/work",
        "files": ["main.py"],
        "tmp": [],
        "proc": ["2", "self", "thread-self"],
        "dev": DEVICES,
        "shm": [],
        "hostname": "evalpool",
        "interfaces": [[1, "lo"]],
        "umask": 0o022,
        "nice": 2,
        "masked": [],
        "core": [1, 1],
        "argv": ["main.py"],
        "path": "/work",
    }


@pytest.mark.skipif(MODE != "root", reason="needs a uid range")
async def test_cells_that_run_at_once_have_uids_of_their_own(counted: Sandbox) -> None:
    code = "import os, time; print(os.getuid()); time.sleep(0.2)"

    assert len(set(await asyncio.gather(*(run(counted, code) for _ in range(4))))) == 4


async def test_cells_that_run_at_once_do_not_meet(counted: Sandbox) -> None:
    """Ports, abstract sockets and shared memory of one are nothing to the other."""
    server = """
import socket, time
from multiprocessing.shared_memory import SharedMemory
tcp = socket.create_server(("127.0.0.1", 9876))
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\\0meet"); abstract.listen()
memory = SharedMemory("meet", create=True, size=16)
open("/tmp/meet", "w").close()
print("there", flush=True)
time.sleep(1.0)
memory.unlink()
"""
    client = """
import os, socket
print(socket.socket().connect_ex(("127.0.0.1", 9876)), socket.socket(socket.AF_UNIX).connect_ex("\\0meet"))
print(os.path.exists("/tmp/meet"), os.listdir("/dev/shm"), len([n for n in os.listdir("/proc") if n.isdigit()]))
"""
    there = asyncio.Event()
    running = asyncio.create_task(counted.run(RunSpec(code=server), lambda _stream, _chunk: there.set()))
    await asyncio.wait_for(there.wait(), 20)
    for _ in range(3):
        assert await run(counted, client) == b"111 111\nFalse [] 1\n"
    assert ending_of(await running) is Ending.OK


async def test_the_loopback_of_a_cell_is_its_own_and_works(counted: Sandbox) -> None:
    code = """
import errno, socket
server = socket.create_server(("127.0.0.1", 0)); client = socket.create_connection(server.getsockname())
server.accept()[0].sendall(b"hello"); print(client.recv(5))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: udp.connect(("192.0.2.1", 53))
except OSError as error: print(errno.errorcode[error.errno])
"""
    assert await run(counted, code) == b"b'hello'\nENETUNREACH\n"


async def test_random_states_differ_from_cell_to_cell(counted: Sandbox) -> None:
    code = "import random, uuid, tempfile; print(random.random(), uuid.uuid4(), tempfile.mktemp())"
    numbers = [word for _ in range(6) for word in (await run(counted, code)).split()]

    assert len(set(numbers)) == 18


async def test_streams_that_are_merged_come_in_order(counted: Sandbox) -> None:
    code = "import os\nfor n in range(500): os.write(1 + n % 2, b'%d ' % n)"
    report = await counted.run(RunSpec(code=code, merge_streams=True))

    assert report.stdout.split() == [b"%d" % n for n in range(500)]
    assert report.stderr == b""


async def test_strace_tells_the_programs_calls_at_the_end_of_stderr(counted: Sandbox) -> None:
    code = "import os, sys; sys.stderr.write('mine\\n'); sys.stderr.flush(); os.mkdir('made'); sys.exit(3)"
    report = await counted.run(RunSpec(code=code, strace=True))

    assert (report.exit_code, report.stderr[:5]) == (3, b"mine\n")
    assert b'mkdir("made"' in report.stderr


async def test_outputs_come_back_though_the_program_was_killed(counted: Sandbox) -> None:
    code = "import time; open('out.txt', 'w').write('kept'); open('/tmp/other', 'w'); time.sleep(60)"
    spec = RunSpec(code=code, outputs=("*.txt", "sub/*"), files={"sub/in": b"given"}, limits=Limits(wall_s=2.0))
    report = await counted.run(spec)

    assert ending_of(report) is Ending.WALL_TIME
    assert report.files == {"out.txt": b"kept", "sub/in": b"given"}


LIBRARIES = {
    "multiprocessing fork": (
        "import multiprocessing as m\nwith m.get_context('fork').Pool(2) as p: print(p.map(abs, [-1, 2]))"
    ),
    "multiprocessing spawn": (
        "import multiprocessing as m\nif __name__ == '__main__':\n"
        "  with m.get_context('spawn').Pool(2) as p: print(p.map(abs, [-1, 2]))"
    ),
    "process pool": (
        "from concurrent.futures import ProcessPoolExecutor as E\nif __name__ == '__main__':\n"
        "  with E(2) as e: print(list(e.map(abs, [-1, 2])))"
    ),
    "asyncio subprocess": (
        "import asyncio\nasync def main():\n  p = await asyncio.create_subprocess_exec('echo', '[1, 2]', stdout=-1)\n"
        "  print((await p.communicate())[0].decode().strip())\nasyncio.run(main())"
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor as E\n"
        "with E(16) as e: print(sorted(set(e.map(lambda n: 1 + n % 2, range(500)))))"
    ),
    "sqlite": (
        "import sqlite3; c = sqlite3.connect('file.db'); c.execute('create table t(a)')\n"
        "c.executemany('insert into t values (?)', [(1,), (2,)]); c.commit()\n"
        "print([r[0] for r in c.execute('select a from t order by a')])"
    ),
    "shared memory": (
        "from multiprocessing.shared_memory import SharedMemory as S\n"
        "s = S(create=True, size=1 << 20); s.buf[:2] = b'\\1\\2'; print(list(s.buf[:2])); s.close(); s.unlink()"
    ),
    "shell": "import subprocess; print(subprocess.check_output('echo [1, 2]', shell=True, text=True).strip())",
}


@pytest.mark.parametrize("code", LIBRARIES.values(), ids=LIBRARIES)
async def test_what_programs_use_works_behind_the_wall(code: str, counted: Sandbox) -> None:
    assert await run(counted, code) == b"[1, 2]\n"


async def test_a_program_finds_its_own_name_and_those_of_services(counted: Sandbox) -> None:
    assert await run(counted, LOOKUPS) == b"True True\nhttps 17\n"
