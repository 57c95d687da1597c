"""`POST /v1/judge`: one program on many inputs, compared with what is expected. Answers at once or as events."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api import problems, streaming
from api.convert import new_id
from api.edge import report
from api.judge.answers import Tally, case_answer, judge_answer
from api.judge.judging import Judging
from api.judge.plan import plan_of
from api.judge.schemas import CaseAnswer, JudgeAnswer, JudgeRequest
from api.openapi import DirectRoute, also_events, answers, body
from api.parse import parse, read_body
from api.routes.evals import GONE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastapi import FastAPI

    from api.served import Served
    from api.settings import ApiSettings
    from jobs.broker import Inbox, Submitter

_DESCRIPTION = """Each case runs in a cell of its own. `expected_stdout` never leaves the API, so no program can see it.
A case passes if the program ended with `ok` and printed what is expected. A case that we failed has no verdict but an
`error`. Hang up, and all cases are cancelled.

With `Accept: text/event-stream` each case is an event `case` as soon as it is done; the last event is `result` (the
document below, without `cases`) or `error` (a problem document)."""
_EVENTS = 'event: case\ndata: {"id": "small", "verdict": "passed", ...}\n\nevent: result\ndata: {"id": ...}\n\n'


class Judge:
    """The endpoint."""

    def __init__(self, settings: ApiSettings, submitter: Submitter, inbox: Inbox, served: Served) -> None:
        self._settings, self._submitter, self._inbox, self._served = settings, submitter, inbox, served

    def install(self, app: FastAPI) -> None:
        """Add the route."""
        app.router.add_api_route(
            "/v1/judge",
            self.judge,
            methods=["POST"],
            tags=["evals"],
            summary="Run a program on many inputs and compare what it prints",
            description=_DESCRIPTION,
            responses=also_events(answers(200, JudgeAnswer, 401, 408, 413, 415, 422, 429, 500, 503), _EVENTS),
            openapi_extra=body(JudgeRequest),
            route_class_override=DirectRoute,
        )

    async def judge(self, request: Request) -> Response:
        """JSON in, JSON or events out."""
        started, judge_id = time.perf_counter(), new_id()
        try:
            raw = await read_body(request.scope, request.receive, bound_bytes=self._settings.max_body_bytes)
        except ClientDisconnect:
            return GONE
        asked = parse(JudgeRequest, raw)
        await self._served.require(asked.environment)
        plan = plan_of(asked, self._settings, part_id=judge_id, reply_to=self._inbox.id)
        judging = Judging(plan, self._submitter, self._inbox, self._settings)
        try:
            await judging.start()
        except BaseException:
            await judging.close()
            raise
        if streaming.wanted(request.scope["headers"]):
            return streaming.EventStream(self._events(judge_id, judging, request, started))
        return await self._whole(judge_id, judging, request, started)

    async def _whole(self, judge_id: str, judging: Judging, request: Request, started: float) -> Response:
        tally, cases = Tally(), dict[int, CaseAnswer]()
        try:
            async for outcomes in judging.outcomes(request.receive, silence_s=math.inf):
                for outcome in outcomes:
                    tally.add(outcome)
                    cases[outcome.number] = case_answer(outcome)
        except ClientDisconnect:
            return GONE
        finally:
            await judging.close()
        in_order = [cases[number] for number in sorted(cases)]
        return Response(_json(judge_answer(judge_id, tally, in_order, total_ms=_ms(started))), 200, None, _JSON)

    async def _events(self, judge_id: str, judging: Judging, request: Request, started: float) -> AsyncGenerator[bytes]:
        tally = Tally()
        try:
            async for outcomes in judging.outcomes(request.receive, silence_s=streaming.KEEP_ALIVE_S):
                for outcome in outcomes:
                    tally.add(outcome)
                cases = (streaming.event("case", _json(case_answer(outcome))) for outcome in outcomes)
                yield b"".join(cases) or streaming.KEEP_ALIVE
            yield streaming.event("result", _json(judge_answer(judge_id, tally, [], total_ms=_ms(started))))
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001 (the status line is out: this is the last resort)
            report(request.scope, error)
            problem = problems.document(problems.problem_of(error))
            yield streaming.event("error", msgspec.json.encode(problem))
        finally:
            await judging.close()


_JSON = "application/json"


def _json(answer: CaseAnswer | JudgeAnswer) -> bytes:
    return answer.__pydantic_serializer__.to_json(answer)


def _ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000
