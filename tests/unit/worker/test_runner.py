"""One delivery becomes one result, and whose fault it was is never in doubt."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from jobs.model import Delivery, Job, Lane, Output, Reason, SharedPart, Status
from sandbox import JailFailed, NotSupported, RunReport, RunSpec
from worker.runner import Runner
from worker.shared import SharedPrograms

REPORT = RunReport(exit_code=0, signal=None, stdout=b"hi\n")


class ScriptedSandbox:
    """Answers each run with the next of its outcomes; the last one for ever."""

    def __init__(self, *outcomes: RunReport | Exception) -> None:
        self.outcomes, self.specs = list(outcomes), list[RunSpec]()

    async def run(self, spec: RunSpec, _: object = None) -> RunReport:
        self.specs.append(spec)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


PART = SharedPart(code="print(input())", files={"a": b"1", "b": b"1"})


async def shared(part_id: str) -> SharedPart | None:
    return PART if part_id == "part" else None


async def no_emit(_: Delivery, __: Output) -> None:
    raise AssertionError


def runner(sandbox: ScriptedSandbox) -> Runner:
    programs = SharedPrograms(shared, bound_bytes=1 << 20)
    return Runner({"default": sandbox}, no_emit, shared=programs, max_attempts=3)


def delivery(*, left_s: float = 60.0, attempt: int = 1, environment: str = "default") -> Delivery:
    now = time.time()
    job = Job(id="j", code="x", submitted_at=now - 1, deadline_at=now + left_s, environment=environment)
    return Delivery(job=job, lane=Lane.SINGLE, entry_id="1-0", attempt=attempt)


async def test_a_report_becomes_a_result_with_its_times() -> None:
    result = await runner(ScriptedSandbox(REPORT)).run(delivery())

    assert (result.status, result.stdout, result.attempt) == (Status.OK, "hi\n", 1)
    assert result.queue_ms >= 1000
    assert result.run_ms < 1000


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (replace(REPORT, exit_code=1), Status.ERROR),
        (replace(REPORT, exit_code=None, signal=11), Status.KILLED),
        (replace(REPORT, timed_out=True, exit_code=None, signal=9), Status.TIMEOUT),
        (replace(REPORT, cpu_exceeded=True, exit_code=None, signal=24), Status.TIMEOUT),
        (replace(REPORT, oom_killed=True, exit_code=None, signal=9), Status.MEMORY),
        (replace(REPORT, output_exceeded=True, exit_code=None, signal=9), Status.OUTPUT),
    ],
)
async def test_every_ending_has_its_status(report: RunReport, status: Status) -> None:
    result = await runner(ScriptedSandbox(report)).run(delivery())

    assert status == result.status


async def test_a_job_past_its_deadline_does_not_run() -> None:
    sandbox = ScriptedSandbox(REPORT)

    result = await runner(sandbox).run(delivery(left_s=-0.001))

    assert (result.status, result.reason, sandbox.specs) == (Status.INTERNAL, Reason.EXPIRED, [])


async def test_a_run_that_the_deadline_cut_short_is_expired_and_not_timed_out() -> None:
    """The program was not given the time it was promised: that is not its fault."""
    sandbox = ScriptedSandbox(replace(REPORT, timed_out=True, exit_code=None, signal=9))

    result = await runner(sandbox).run(delivery(left_s=2.0))

    assert (result.status, result.reason) == (Status.INTERNAL, Reason.EXPIRED)
    assert sandbox.specs[0].limits.wall_s <= 2.0


async def test_a_job_that_waits_in_the_sandbox_past_its_deadline_is_not_run_any_more() -> None:
    """The limit that is left of the deadline counted from when a cell was found, however late that was."""

    class Full(ScriptedSandbox):
        async def run(self, spec: RunSpec, _: object = None) -> RunReport:
            self.specs.append(spec)
            await asyncio.sleep(3600)
            raise AssertionError

    sandbox = Full(REPORT)

    result = await asyncio.wait_for(runner(sandbox).run(delivery(left_s=0.3)), 60)

    assert (result.status, result.reason, len(sandbox.specs)) == (Status.INTERNAL, Reason.EXPIRED, 1)


@pytest.mark.parametrize("outcome", [REPORT, NotSupported("no")])
async def test_a_clock_that_is_set_while_a_job_runs_changes_no_duration(
    outcome: RunReport | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, now = delivery(), time.time()
    told = iter([now])  # and back by an hour
    monkeypatch.setattr(time, "time", lambda: next(told, now - 3600))

    result = await runner(ScriptedSandbox(outcome)).run(case)

    assert 0 <= result.run_ms < 60_000


async def test_a_broken_jail_is_tried_again_and_then_named() -> None:
    once = ScriptedSandbox(JailFailed("broke"), REPORT)
    always = ScriptedSandbox(JailFailed("broke"))

    assert (await runner(once).run(delivery())).status == Status.OK
    result = await runner(always).run(delivery())
    assert (result.status, result.reason, len(always.specs)) == (Status.INTERNAL, Reason.SANDBOX, 3)


@pytest.mark.parametrize(("outcome", "environment"), [(NotSupported("no strace here"), "default"), (REPORT, "other")])
async def test_what_the_environment_cannot_do_is_told_at_once(outcome: RunReport | Exception, environment: str) -> None:
    result = await runner(ScriptedSandbox(outcome)).run(delivery(environment=environment))

    assert (result.status, result.reason) == (Status.INTERNAL, Reason.ENVIRONMENT)


def test_a_fourth_attempt_of_three_is_poison() -> None:
    judge = runner(ScriptedSandbox(REPORT))

    assert [judge.is_poison(delivery(attempt=attempt)) for attempt in (3, 4)] == [False, True]
    assert judge.poisoned(delivery(attempt=4)).reason == Reason.ATTEMPTS


async def test_a_job_runs_the_program_that_it_shares_with_its_own_files_on_top() -> None:
    sandbox = ScriptedSandbox(REPORT)
    case = delivery()
    job = replace(case.job, code="", files={"b": b"2"}, shared="part")

    assert (await runner(sandbox).run(replace(case, job=job))).status == Status.OK
    [spec] = sandbox.specs
    assert (spec.code, spec.files) == (PART.code, {"a": b"1", "b": b"2"})


async def test_a_job_whose_shared_program_is_gone_has_no_verdict() -> None:
    sandbox = ScriptedSandbox(REPORT)
    case = delivery()

    result = await runner(sandbox).run(replace(case, job=replace(case.job, code="", shared="gone")))

    assert (result.status, result.reason, sandbox.specs) == (Status.INTERNAL, Reason.SHARED, [])


async def test_a_job_takes_from_what_it_shares_no_more_than_it_says() -> None:
    """Items of a batch have some of the large defaults, and something of their own instead of others."""
    whole = SharedPart(code="x" * 5_000, stdin="in", args=("a",), env={"A": "1"}, outputs=("*",), files={"a": b"1"})

    async def fetch(_: str) -> SharedPart:
        return whole

    sandbox, case = ScriptedSandbox(REPORT), delivery()
    own = Runner({"default": sandbox}, no_emit, shared=SharedPrograms(fetch, bound_bytes=1 << 20), max_attempts=3)
    some = replace(case.job, code="own", files={"b": b"2"}, shared="part", shares=("stdin", "env"))
    every = replace(case.job, code="", shared="part", shares=("code", "stdin", "files", "args", "env", "outputs"))
    for job in (some, every):
        await own.run(replace(case, job=job))

    first, second = sandbox.specs
    assert (first.code, first.stdin, dict(first.files), first.args) == ("own", b"in", {"b": b"2"}, ())
    assert (dict(first.env), first.outputs, first.bytecode) == ({"A": "1"}, (), None)
    assert (second.code, second.stdin, dict(second.files)) == (whole.code, b"in", {"a": b"1"})
    assert (second.args, dict(second.env), second.outputs) == (("a",), {"A": "1"}, ("*",))
    assert second.bytecode is not None
