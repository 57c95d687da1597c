"""One table turns every error into a problem; nothing is left out and nothing leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from api import problems
from api.errors import ApiError
from api.schemas import ProblemDocument
from jobs.errors import BrokerFull, BrokerUnavailable, JobsError
from jobs.model import JobResult, Reason, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2
    from api_fakes import FakeBroker


def leaves(cls: type[Exception]) -> Iterator[type[Exception]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from leaves(sub)


def test_the_table_is_total() -> None:
    assert {*leaves(ApiError), *leaves(JobsError)} <= set(problems.TABLE)


@pytest.mark.parametrize("reason", [*Reason, None])
def test_every_reason_has_its_problem(reason: Reason | None) -> None:
    result = JobResult(job_id="j", status=Status.INTERNAL, reason=reason)
    problem = problems.failure(result)

    ProblemDocument.model_validate(problems.document(problem))
    assert problem.status in {409, 422, 500, 503}


def test_an_unknown_error_says_nothing_of_itself() -> None:
    told = problems.document(problems.problem_of(RuntimeError("SECRET")))

    assert (told["status"], "SECRET" in str(told)) == (500, False)


async def test_why_the_queue_does_not_answer_is_logged_once_a_second(
    client: httpx2.AsyncClient, broker: FakeBroker
) -> None:
    broker.fault = BrokerUnavailable("OutOfMemoryError: used memory > 'maxmemory'")
    with capture_logs() as said:
        statuses = [(await client.post("/v1/eval", json={"code": "1"})).status_code for _ in range(3)]

    assert statuses == [503] * 3
    assert [(line["event"], line["why"]) for line in said] == [("queue_unavailable", str(broker.fault))]


async def test_a_queue_without_memory_is_our_capacity_and_not_a_fault(
    client: httpx2.AsyncClient, broker: FakeBroker
) -> None:
    broker.fault = BrokerFull("command not allowed when used memory > 'maxmemory'")
    answer = await client.post("/v1/eval", json={"code": "1"})

    assert (answer.status_code, answer.json()["type"]) == (429, "urn:evalpool:problem:queue-full")
    assert (answer.headers["retry-after"], answer.json()["safe_to_retry"]) == ("2", True)
