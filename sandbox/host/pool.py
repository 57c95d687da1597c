"""The warm pool of one tier: cells forked, isolated and ready before a job arrives.

`_refill` compares wanted with actual and may run at any time; it runs when a cell is gone (behind the reply),
when a job finds no warm cell, and once a second. A jail that dies is replaced, with backoff.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.errors import JailFailed, SandboxError, SandboxUnavailable
from sandbox.host.cell import Cell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from sandbox.config import SandboxConfig
    from sandbox.host.jail import Jail
    from sandbox.host.slots import Slots

log = logging.getLogger(__name__)
_BACKOFF_S = (0.0, 0.2, 1.0, 5.0)
_OPEN_PAUSES_S = (0.0, 0.2, 1.0)
_TICK_S = 1.0
_PATIENCE_S = 1.0
_DOWN_S = 2.0
"""So long a tier may be without a zygote, or have one whose cells do not get warm; a boot takes less."""
_RUSH_S = 0.05
"""So long after somebody found no warm cell the next ones are likely to find none either."""
_SLOT_S = 0.005
"""Between two looks for a free slot."""
_STILLBORN = 5
"""So many cells in a row that never got warm: the jail itself must be broken."""
_ids = itertools.count(1)


@dataclass(slots=True)
class PoolStats:
    """Counters of one pool since it opened."""

    warm_hits: int = 0
    warm_misses: int = 0
    cells_stillborn: int = 0
    """Never got warm."""
    cells_idle: int = 0
    """Died while they waited, warm, for a program."""
    cells_broken: int = 0
    """Failed under a program, which then needs another cell."""
    zygotes_died: int = 0
    zygotes_worn: int = 0
    """Replaced by age or number of cells."""
    zygotes_unbooted: int = 0
    """Could not boot; the next one is tried."""
    refills: int = 0
    refill_s: float = 0.0
    """Fork to warm, all of them together."""


class Pool:
    """Warm cells of one tier. `acquire` hands out a warm cell; who gets it runs it once."""

    def __init__(
        self,
        name: str,
        *,
        slots: Slots,
        config: SandboxConfig,
        boot: Callable[[], Awaitable[Jail]],
        review: Callable[[], None] = lambda: None,
        ahead: int = 0,
    ) -> None:
        """`ahead`: in so many warm cells the environment's command is started before there is a job; 0: in none."""
        self.name, self.stats = name, PoolStats()
        self._slots, self._config, self._boot, self._review = slots, config, boot, review
        self._wanted, self._ahead = 1, ahead
        self._jail: Jail | None = None
        self._failing_since: float | None = None
        """When a zygote was lost, or a cell did not get warm; None once one has."""
        self._born_at = 0.0
        self._retired: list[Jail] = []
        self._warm: list[Cell] = []
        self._starting: set[Cell] = set()
        self._waiting: deque[asyncio.Future[Cell]] = deque()
        self._patient: deque[asyncio.Future[Cell]] = deque()
        """Those that let others go first."""
        self._missed_at = -math.inf
        self._stillborn = 0
        self._unproven = 0
        """Zygotes that were booted, or were to be, since a cell got warm."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        """Of lost and worn jails: never cut short, for at their end cells give their slots back."""
        self._renewing = False
        self._closed = False

    async def open(self) -> None:
        """Boot the zygote and wait for a first warm cell. Raises SandboxUnavailable, with the reason.

        What died without one (killed from outside, as a machine short of memory does) is tried again.
        """
        for pause_s in _OPEN_PAUSES_S:
            try:
                self._adopt(await self._first_jail())
                break
            except JailFailed as error:
                log.warning("no zygote", extra={"event": "zygote_failed", "tier": self.name, "why": str(error)})
                last = error
                self._ahead = 0  # perhaps the command does not wait for its program: execute it when that is there
                await asyncio.sleep(pause_s)
        else:
            raise SandboxUnavailable(str(last)) from last
        self._refill()
        self._task(self._tick())

    async def _first_jail(self) -> Jail:
        """A jail with a warm cell. Raises SandboxUnavailable, JailFailed."""
        jail = self._jail = await self._boot()
        first = self._start()
        try:
            if first is not None:
                await asyncio.wait_for(asyncio.shield(first.warm), self._config.warm_timeout_s)
                return jail
            why = "no slot or zygote for a first cell"
        except (JailFailed, TimeoutError) as error:
            why = str(error) or "the first cell did not get warm in time"
        self._jail = None
        await jail.close()
        raise JailFailed(why)

    async def close(self) -> None:
        """Kill every cell and zygote; who waits for one is told at once."""
        self._closed = True
        for waiter in (*self._waiting, *self._patient):
            if not waiter.done():
                waiter.set_exception(JailFailed("the sandbox is closed"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._endings, return_exceptions=True)
        jails = [*self._retired, *([self._jail] if self._jail else [])]
        self._jail, self._wanted = None, 0
        await asyncio.gather(*(jail.close() for jail in jails))

    def want(self, cells: int) -> None:
        """Keep so many cells warm from now on."""
        self._wanted = cells
        if self._jail is not None and not self._closed:
            self._refill()

    @property
    def is_down(self) -> bool:
        """Whether no cell is warm, or got warm for so long that programs had better go elsewhere."""
        since = self._failing_since
        return not self._warm and since is not None and time.monotonic() - since > _DOWN_S

    @property
    def warm(self) -> int:
        """Cells that wait for a job."""
        return len(self._warm)

    @property
    def starting(self) -> int:
        """Cells on their way to warm."""
        return len(self._starting)

    async def acquire(self, *, trace: bool = False, patient: bool = False, plain: bool = False) -> tuple[Cell, bool]:
        """Take a cell, and whether it was warm already. Raises JailFailed if none gets warm in time.

        `patient` leaves the last warm cell to who is not, and the next ones too, for a second. `plain`: nothing may
        have been started in it.
        """
        plain = plain and self._ahead > 0
        while not trace and (cell := self._take(patient=patient, plain=plain)) is not None:
            if not cell.jail.lost.is_set():
                self.stats.warm_hits += 1
                return cell, True
        if self._closed:
            raise JailFailed("the sandbox is closed")
        self.stats.warm_misses += 1
        self._missed_at = time.monotonic()
        try:
            async with asyncio.timeout(self._config.warm_timeout_s):
                if trace or plain:
                    return await self._order_own(trace=trace), False
                if patient:
                    return await self._order_patiently(), False
                return await self._delivered(self._order(self._waiting)), False
        except TimeoutError as error:
            raise JailFailed("no cell got warm in time") from error

    def _take(self, *, patient: bool, plain: bool) -> Cell | None:
        """A warm cell, if there is one for such a run; the newest: its memory is still in the caches."""
        if len(self._warm) <= (self._kept if patient else 0):
            return None
        if not self._ahead:
            return self._warm.pop()
        newest = [cell for cell in reversed(self._warm) if not (plain and cell.ahead)]
        if not newest:
            return None
        cell = max(newest, key=lambda cell: cell.ahead)
        self._warm.remove(cell)
        return cell

    @property
    def _kept(self) -> int:
        """Warm cells that are not for the patient."""
        return 1 if self._wanted > 1 else 0

    def _order(self, waiting: deque[asyncio.Future[Cell]]) -> asyncio.Future[Cell]:
        waiter: asyncio.Future[Cell] = asyncio.get_running_loop().create_future()
        waiting.append(waiter)
        self._refill()
        return waiter

    async def _order_patiently(self) -> Cell:
        waiter = self._order(self._patient)
        hurry = asyncio.get_running_loop().call_later(_PATIENCE_S, self._waiting.append, waiter)
        try:
            return await self._delivered(waiter)
        finally:
            hurry.cancel()

    async def _delivered(self, waiter: asyncio.Future[Cell]) -> Cell:
        """The cell that was ordered; let go of where who waits is cancelled as it comes, or nobody would have it."""
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().discard()
            raise

    async def _order_own(self, *, trace: bool) -> Cell:
        """A cell that is made for one run, and of no use to others."""
        while (cell := self._start(trace=trace, rehearse=False, own=True)) is None:  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(_SLOT_S)
        try:
            await cell.warm
        except BaseException:
            cell.discard()
            raise
        return cell

    def _refill(self) -> None:
        self._waiting = deque(waiter for waiter in self._waiting if not waiter.done())
        self._patient = deque(waiter for waiter in self._patient if not waiter.done())
        waiting = len({*self._waiting, *self._patient})
        # A rehearsal makes a run quicker, and costs more than it saves: it is for when nobody waits, nor did just now.
        rehearse = not waiting and (self._ahead > 0 or time.monotonic() - self._missed_at > _RUSH_S)
        while len(self._warm) + len(self._starting) < self._wanted + waiting:
            if self._start(rehearse=rehearse) is None:
                return

    def _start(self, *, trace: bool = False, rehearse: bool = True, own: bool = False) -> Cell | None:
        jail = self._jail
        slot = self._slots.take() if jail is not None else None
        if jail is None or slot is None:
            return None
        ordered_at = time.perf_counter()
        try:
            cell = Cell(next(_ids), jail, slot, self._slots.group(slot, self._config.cell.processes))
            cell.on_gone = self._on_gone
            cell.start(trace=trace, rehearse=rehearse, ahead=rehearse and self._is_behind)
        except SandboxUnavailable as error:  # of this moment, perhaps: whoever waits for a cell finds out
            self._slots.give(slot)
            log.warning(str(error), extra={"event": "no_cell", "tier": self.name})
            return None
        except OSError:
            self._slots.give(slot)
            jail.lose()
            return None
        if not own:
            self._starting.add(cell)
            timer = asyncio.get_running_loop().call_later(self._config.warm_timeout_s, self._give_up, cell)
            cell.warm.add_done_callback(lambda _: timer.cancel())
            cell.warm.add_done_callback(lambda _: self._on_warm(cell, ordered_at))
        return cell

    @property
    def _is_behind(self) -> bool:
        """Whether the command is to be started in one more cell."""
        return self._ahead > sum(cell.ahead for cell in (*self._warm, *self._starting))

    def _on_warm(self, cell: Cell, ordered_at: float) -> None:
        self._starting.discard(cell)
        if cell.is_gone or cell.warm.cancelled() or cell.warm.exception() is not None:
            self._on_stillborn(cell)
            return
        self._stillborn, self._unproven, self._failing_since = 0, 0, None
        self.stats.refills += 1
        self.stats.refill_s += time.perf_counter() - ordered_at
        waiter = _first(self._waiting)
        if waiter is None and len(self._warm) >= self._kept:
            waiter = _first(self._patient)
        if waiter is None:
            self._warm.append(cell)
        else:
            waiter.set_result(cell)

    def _on_stillborn(self, cell: Cell) -> None:
        if cell.jail.lost.is_set():
            return  # its jail's end is news enough
        self.stats.cells_stillborn += 1
        if not (cell.is_unborn and cell.jail.residents):  # else they have what it lacks, and would die as well
            self._stillborn += 1
        self._fails()
        error = None if cell.warm.cancelled() else cell.warm.exception()
        log.warning("cell stillborn", extra={"event": "cell_stillborn", "tier": self.name, "why": str(error)})
        if self._stillborn >= _STILLBORN:
            self._stillborn = 0
            cell.jail.lose()

    def _fails(self) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    def _give_up(self, cell: Cell) -> None:
        if cell.warm.cancel():  # else it has just got warm, however late, and is somebody's
            cell.discard()

    def _on_gone(self, cell: Cell) -> None:
        if cell in self._warm:  # died while it waited
            self._warm.remove(cell)
            self.stats.cells_idle += 1
        self._slots.give(cell.slot)
        if not cell.is_unborn:  # else the next one would not be born either: it is for when another is gone
            self._refill()

    # The jail's life.

    def _adopt(self, jail: Jail) -> None:
        self._jail, self._born_at = jail, time.monotonic()
        jail.on_lost = lambda: self._on_lost(jail)
        if jail.lost.is_set():  # before it could say so
            self._on_lost(jail)

    def _on_lost(self, jail: Jail) -> None:
        self._warm = [cell for cell in self._warm if cell.jail is not jail]
        self._end(jail)
        if jail is self._jail:
            self._jail = None
            self._fails()
            self.stats.zygotes_died += 1
            log.warning("zygote died", extra={"event": "zygote_died", "tier": self.name})
            self._renew()

    def _renew(self) -> None:
        if not self._renewing:
            self._renewing = True
            self._task(self._boot_another())

    async def _boot_another(self) -> None:
        try:
            while True:
                await asyncio.sleep(_BACKOFF_S[min(self._unproven, len(_BACKOFF_S) - 1)])
                self._unproven += 1
                try:
                    jail = await self._boot()
                except SandboxError as error:
                    self.stats.zygotes_unbooted += 1
                    log.exception("no zygote", extra={"event": "zygote_failed", "tier": self.name, "why": str(error)})
                    continue
                old, self._jail = self._jail, None
                self._adopt(jail)
                if old is not None:
                    self._retired.append(old)
                self._refill()
                if self._jail is not None:  # else it died before its first cell
                    return
        finally:
            self._renewing = False

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._review()
            self._refill()
            self._wear()
            self._bury()

    def _wear(self) -> None:
        jail = self._jail
        if jail is None:  # that another is booted is not to hang on any one event
            self._renew()
            return
        old = time.monotonic() - self._born_at > self._config.zygote_age_s
        if (old or jail.forked > self._config.zygote_cells) and not self._renewing:
            self.stats.zygotes_worn += 1
            self._renew()

    def _bury(self) -> None:
        """Discard idle cells: those of retired jails, and more than are wanted; close jails with nothing in them."""
        idle = [cell for cell in self._warm if cell.jail in self._retired]
        idle += [cell for cell in self._warm if cell not in idle][self._wanted :]
        for cell in idle:
            self._warm.remove(cell)
            cell.discard()
        for jail in [jail for jail in self._retired if not jail.residents]:
            self._retired.remove(jail)
            self._end(jail)

    def _task(self, work: Coroutine[None, None, None]) -> None:
        _keep(work, self._tasks)

    def _end(self, jail: Jail) -> None:
        _keep(jail.close(), self._endings)


def _keep(work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    among.add(task)
    task.add_done_callback(among.discard)


def _first(waiting: deque[asyncio.Future[Cell]]) -> asyncio.Future[Cell] | None:
    """Who waits longest, and still does."""
    while waiting:
        waiter = waiting.popleft()
        if not waiter.done():
            return waiter
    return None
