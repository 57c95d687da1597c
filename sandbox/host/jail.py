"""One nsjail process tree with its zygote: start it, have it fork and kill cells, hear of their ends, end it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sandbox
from sandbox.errors import SandboxUnavailable
from sandbox.guest import protocol
from sandbox.host.nsjail import CONTROL_FD, VARIABLES, nsjail_argv
from sandbox.host.rootfs import build_rootfs, staging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.environment import Environment, Tier

log = logging.getLogger(__name__)
_CLOSE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CellExit:
    """How a cell's program ended, as the zygote saw it."""

    status: int
    """Wait status; `os.waitstatus_to_exitcode` reads it."""
    cpu_s: float
    peak_bytes: int
    """Largest resident size of any one process of the cell."""


class Resident(Protocol):
    """What a jail tells about a cell."""

    def exited(self, facts: CellExit) -> None:
        """The program is dead."""

    def out_of_memory(self) -> None:
        """It used more than its watch allowed and is being killed."""

    def gone(self) -> None:
        """Nothing of the cell is left."""

    def jail_lost(self) -> None:
        """The jail died under the cell."""


class Jail:
    """A running jail. `lost` is set when it died or was closed."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket, folder: Path) -> None:
        self._process = process
        self._control = control
        self._folder = folder
        self._residents: dict[int, Resident] = {}
        self.forked = 0
        self.lost = asyncio.Event()
        self.on_lost: Callable[[], None] = lambda: None

    @classmethod
    async def start(
        cls, folder: Path, environment: Environment, tier: Tier, walls: dict[str, Any], *, timeout_s: float
    ) -> Jail:
        """Build the jail under `folder` (removed with the jail) and wait until its zygote can fork.

        Raises SandboxUnavailable with the reason.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        folder.mkdir(parents=True)
        with theirs:
            process = await _spawn(folder, environment, theirs, walls)
        jail = cls(process, ours, folder)
        loop = asyncio.get_running_loop()
        boot = {"op": "boot", "preload": tier.preload, "walls": walls}
        try:
            await loop.sock_sendall(ours, json.dumps(boot).encode())
            answer = await asyncio.wait_for(loop.sock_recv(ours, protocol.PACKET_BYTES), timeout_s)
            message = json.loads(answer or b'{"op": "failed", "why": ""}')
        except (OSError, TimeoutError) as error:
            message = {"op": "failed", "why": repr(error)}
        except BaseException:
            await jail.close()
            raise
        if message["op"] != "ready":
            why = " / ".join(filter(None, (message["why"], await jail._last_words())))
            await jail.close()
            raise SandboxUnavailable(f"tier {tier.name} did not boot: {why}")
        loop.add_reader(ours.fileno(), jail._readable)
        return jail

    @property
    def pid(self) -> int:
        """Pid of nsjail."""
        return self._process.pid

    @property
    def residents(self) -> int:
        """Cells of this jail that are not gone."""
        return len(self._residents)

    def fork(self, cell_id: int, resident: Resident, *, slot: int, trace: bool, fds: Sequence[int]) -> None:
        """Order a cell. Raises OSError if the zygote does not listen."""
        message = {"op": "fork", "cell": cell_id, "slot": slot, "trace": trace}
        socket.send_fds(self._control, [json.dumps(message).encode()], fds)
        self._residents[cell_id] = resident
        self.forked += 1

    def kill(self, cell_id: int) -> None:
        """End a cell and all its processes; its `on_exit` and `on_gone` follow."""
        try:
            self._control.send(json.dumps({"op": "kill", "cell": cell_id}).encode())
        except OSError:  # a zygote that does not take orders is not to be trusted with what it runs
            self.lose()

    def watch(self, cell_id: int, memory_bytes: int) -> None:
        """Have a cell's memory watched where no cgroup does it. Raises OSError."""
        self._control.send(json.dumps({"op": "watch", "cell": cell_id, "bytes": memory_bytes}).encode())

    async def close(self) -> None:
        """Kill everything in the jail and remove its folder."""
        self.lose()
        try:
            await asyncio.wait_for(self._process.wait(), _CLOSE_S)
        except TimeoutError:
            log.warning("jail outlived SIGKILL", extra={"event": "jail_close_timeout", "pid": self.pid})
        residents, self._residents = self._residents, {}
        for resident in residents.values():
            resident.gone()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _readable(self) -> None:
        # Some packets per call; the loop comes back for the rest.
        for _ in range(16):
            try:
                data = self._control.recv(protocol.PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.lose()
                return
            self._heard(json.loads(data))

    def _heard(self, message: dict[str, Any]) -> None:
        if message["op"] == "gone":
            resident = self._residents.pop(message["cell"], None)
            if resident is not None:
                resident.gone()
            return
        resident = self._residents.get(message["cell"])
        if resident is None:
            return
        if message["op"] == "oom":
            resident.out_of_memory()
        else:
            facts = CellExit(status=message["status"], cpu_s=message["cpu_s"], peak_bytes=message["peak_bytes"])
            resident.exited(facts)

    def lose(self) -> None:
        """Kill the jail and tell its residents; the folder stays until `close`."""
        if self.lost.is_set():
            return
        self.lost.set()
        asyncio.get_running_loop().remove_reader(self._control.fileno())
        self._control.close()  # the zygote leaves at end of file, and with it, pid 1, the whole jail
        if self._process.returncode is None:
            self._process.kill()
        for resident in list(self._residents.values()):
            resident.jail_lost()
        self.on_lost()

    async def _last_words(self) -> str:
        await asyncio.sleep(0.1)  # let a dying nsjail finish its sentence
        text = (self._folder / "log").read_text(errors="replace").strip()
        return " / ".join(text.splitlines()[-3:])[-1000:]


async def _spawn(
    folder: Path, environment: Environment, control: socket.socket, walls: dict[str, Any]
) -> asyncio.subprocess.Process:
    rootfs = build_rootfs(folder / "root", environment)
    plan = "null"
    if walls["own_uids"]:
        plan, rootfs = staging(rootfs)
    argv = nsjail_argv(rootfs, uid_range=walls["own_uids"], environ={**VARIABLES, **environment.variables})
    command = [sys.executable, "-m", "sandbox.host.launch", str(CONTROL_FD), str(os.getpid()), plan, *argv]
    with (folder / "log").open("wb") as log_file:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=control.fileno(),
            stdout=asyncio.subprocess.DEVNULL,  # what cells print when they rehearse
            stderr=log_file,
            start_new_session=True,
            env={"PYTHONPATH": str(Path(sandbox.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        )
