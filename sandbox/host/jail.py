"""One nsjail process tree with its zygote: start it, have it fork and kill cells, hear of their ends, end it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import sandbox
from sandbox.environment import Kind
from sandbox.errors import JailFailed, SandboxUnavailable
from sandbox.guest import protocol
from sandbox.host.aside import aside, remove
from sandbox.host.identity import can_stage, require_reachable, uid_range
from sandbox.host.imagefs import ORIGIN
from sandbox.host.notices import Event, Notice, ProtocolError, boot_failure, notice
from sandbox.host.nsjail import CONTROL_FD, nsjail_argv
from sandbox.host.programs import PACKAGES, links, require, steps, variables
from sandbox.host.rootfs import IMAGE, build_rootfs, staging
from sandbox.preludes import started

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.environment import Environment, Tier
from sandbox.host.notices import CellExit

log = logging.getLogger(__name__)
_CLOSE_S = 5.0


class Resident(Protocol):
    """What a jail tells about a cell."""

    def exited(self, facts: CellExit) -> None:
        """The program is dead."""

    def out_of_memory(self) -> None:
        """It used more than its watch allowed and is being killed."""

    def gone(self) -> None:
        """Nothing of the cell is left."""

    def unborn(self, errno: int) -> None:
        """It could not be forked, and is gone. Raises ProtocolError: it was there already."""

    def jail_lost(self) -> None:
        """The jail died under the cell."""


class Jail:
    """A running jail. `lost` is set when it died or was closed."""

    def __init__(
        self, process: asyncio.subprocess.Process, control: socket.socket, folder: Path, environment: Environment
    ) -> None:
        self.environment = environment
        self._process = process
        self._control = control
        self._folder = folder
        self._residents: dict[int, Resident] = {}
        self._told: set[tuple[int, Event]] = set()
        self.forked = 0
        self.buried: tuple[int, float] = (0, -math.inf)
        """The cell that was the last to be gone, and when, by the loop's clock."""
        self.lost = asyncio.Event()
        self.on_lost: Callable[[], None] = lambda: None

    @classmethod
    async def start(
        cls, folder: Path, environment: Environment, tier: Tier, walls: dict[str, Any], *, timeout_s: float
    ) -> Jail:
        """Build the jail under `folder` (removed with the jail) and wait until its zygote can fork.

        Raises SandboxUnavailable with the reason, JailFailed if it died without one or could not be made just now.
        """
        place = place_of(environment) | {"links": links(environment, tier)}
        try:
            folder.mkdir(parents=True)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as fault:
            raise JailFailed(f"no jail can be made: {fault}") from fault
        ours.setblocking(False)
        try:
            with theirs:
                process = await _spawn(folder, environment, theirs, walls)
        except BaseException as fault:
            ours.close()
            await remove(folder)
            if isinstance(fault, OSError):  # a full disk, no process to be had
                raise JailFailed(f"no jail can be made: {fault}") from fault
            raise
        jail = cls(process, ours, folder, environment)
        try:
            why = await jail.boot(tier, place, walls, timeout_s)
            words = "" if why is None else await jail._last_words()
        except BaseException:
            await jail.close()
            raise
        if why is not None:
            await jail.close()
            error = SandboxUnavailable if why else JailFailed
            raise error(f"tier {tier.name} did not boot: {' / '.join(filter(None, (why, words))) or 'it died'}")
        return jail

    async def boot(self, tier: Tier, place: dict[str, Any], walls: dict[str, Any], timeout_s: float) -> str | None:
        """Tell the zygote what it is, and listen to it; why it cannot fork, "" if it died, None if it can."""
        loop = asyncio.get_running_loop()
        order = {"op": "boot", "preload": tier.preload, "optional": tier.optional, "place": place, "walls": walls}
        try:
            await loop.sock_sendall(self._control, json.dumps(order).encode())
            why = boot_failure(await asyncio.wait_for(loop.sock_recv(self._control, protocol.PACKET_BYTES), timeout_s))
        except TimeoutError:
            return f"it was not ready within {timeout_s:g} s"
        except OSError:
            return ""
        except ProtocolError as error:
            return str(error)
        if why is None:
            loop.add_reader(self._control.fileno(), self._readable)
        return why

    @property
    def pid(self) -> int:
        """Pid of nsjail."""
        return self._process.pid

    @property
    def residents(self) -> int:
        """Cells of this jail that are not gone."""
        return len(self._residents)

    def fork(self, cell_id: int, resident: Resident, *, slot: int, how: int, fds: Sequence[int]) -> None:
        """Order a cell; `how` and `fds` are those of `guest.cell.Seat`. Raises OSError if nobody listens."""
        socket.send_fds(self._control, [protocol.pack_order(protocol.FORK, cell_id, slot=slot, how=how)], fds)
        self._residents[cell_id] = resident
        self.forked += 1

    def kill(self, cell_id: int) -> None:
        """End a cell and all its processes; its `on_exit` and `on_gone` follow."""
        try:
            self._control.send(protocol.pack_order(protocol.KILL, cell_id))
        except OSError:  # a zygote that does not take orders is not to be trusted with what it runs
            self.lose()

    def watch(self, cell_id: int, memory_bytes: int) -> None:
        """Have a cell's memory watched where no cgroup does it. Raises OSError."""
        self._control.send(protocol.pack_order(protocol.WATCH, cell_id, memory_bytes=memory_bytes))

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
        await remove(self._folder)

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
            try:
                self._heard(notice(data))
            except ProtocolError as error:
                log.error(str(error), extra={"event": "jail_protocol_error", "pid": self.pid})  # noqa: TRY400  theirs
                self.lose()
                return

    def _heard(self, told: Notice) -> None:
        resident = self._residents.get(told.cell)
        if resident is None:
            raise ProtocolError("a zygote told of a cell that it does not have")
        early = told.event is Event.GONE and (told.cell, Event.EXIT) not in self._told
        if early or (told.cell, told.event) in self._told:
            raise ProtocolError("a zygote told a cell's end out of turn")
        self._told.add((told.cell, told.event))
        if told.event is Event.UNBORN:
            resident.unborn(told.errno)
            self._forget(told.cell)
        elif told.exit is not None:
            resident.exited(told.exit)
        elif told.event is Event.OOM:
            resident.out_of_memory()
        else:
            self._forget(told.cell)
            self.buried = told.cell, asyncio.get_running_loop().time()
            resident.gone()

    def _forget(self, cell_id: int) -> None:
        self._told.difference_update((cell_id, event) for event in Event)
        del self._residents[cell_id]

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


def place_of(environment: Environment) -> dict[str, Any]:
    """Build the `place` part of the boot message (see `guest.place`). Raises SandboxUnavailable."""
    place = {
        "workdir": environment.workdir,
        "filename": environment.filename,
        "command": environment.command,
        "python": _python(environment),
        "origin": ORIGIN if environment.image else "",
    }
    if environment.kind is Kind.PYTHON:
        return place
    root = IMAGE if environment.image else ""
    programs, found = steps(environment), variables(environment)
    prelude = started(environment, programs["run"][0], found)
    return place | {"programs": programs, "variables": found, "prelude": prelude, "root": root}


def _python(environment: Environment) -> str:
    """Path in the jail of the interpreter that its zygote is."""
    return require(environment) if environment.kind is Kind.PYTHON else f"{PACKAGES}/bin/python3"


async def _spawn(
    folder: Path, environment: Environment, control: socket.socket, walls: dict[str, Any]
) -> asyncio.subprocess.Process:
    rootfs = await aside(build_rootfs, folder / "root", environment)
    plan, uids = "null", uid_range() if walls["own_uids"] else None
    if uids and can_stage():
        plan, rootfs = staging(rootfs)
    elif uids:
        require_reachable(rootfs.path, *(Path(bind.source) for bind in rootfs.binds))
    argv = nsjail_argv(
        rootfs,
        uids=uids,
        environ=variables(environment) if environment.kind is Kind.PYTHON else {},
        python=_python(environment),
        options=environment.options,
    )
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
