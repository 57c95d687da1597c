"""HTTP shapes of batches: types only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.judge.schemas import JudgeAnswer, JudgeRequest
from api.schemas import EXAMPLE_EVAL, EXAMPLE_ID, EvalRequest, EvalResponse, ProblemDocument, shape
from jobs.batches.model import BatchState, WebhookState  # noqa: TC001 (pydantic reads the annotations)

_LINKS = {
    "self": f"/v1/batches/{EXAMPLE_ID}",
    "results": f"/v1/batches/{EXAMPLE_ID}/results",
    "events": f"/v1/batches/{EXAMPLE_ID}/events",
}
_VIEW: dict[str, Any] = {
    "id": EXAMPLE_ID,
    "state": "running",
    "total": 1000,
    "completed": 412,
    "submitted": 24,
    "waiting": 564,
    "counts": {"ok": 400, "error": 12},
    "rate_per_s": 206.0,
    "eta_s": 2.9,
    "created_at": "2026-11-25T08:30:00.000Z",
    "started_at": "2026-11-25T08:30:00.120Z",
    "metadata": {"run": "nightly"},
    "links": _LINKS,
}


class ItemDefaults(EvalRequest):
    """Fields for all items that do not have them themselves."""

    model_config = shape(timeout_s=5, files={"helper.py": "def double(n): return 2 * n\n"})

    code: str = ""


class BatchItem(ItemDefaults):
    """One program of a batch: a line of JSON Lines, or an element of `items`."""

    model_config = shape(custom_id="task-17", code="print(1 + 1)", stdin="")

    custom_id: Annotated[str, Field(description="1 to 256 characters; no other item of the batch has the same.")]


class JudgeItem(JudgeRequest):
    """An item with `cases`: a judge request. One item, one line of results, however many cases."""

    model_config = shape(custom_id="task-18", code="print(int(input()) ** 2)", cases=[{"stdin": "3"}])

    code: str = ""
    custom_id: Annotated[str, Field(description="1 to 256 characters; no other item of the batch has the same.")]


class WebhookRequest(BaseModel):
    """Where to say that the batch ended."""

    model_config = shape(url="https://example.org/evalpool")

    url: Annotated[str, Field(description="http or https; no private address unless the operator allows it.")]


class BatchOptions(BaseModel):
    """What holds for the batch as a whole; in JSON Lines the first line may be `{"batch": {...}}`."""

    model_config = shape(defaults={"timeout_s": 5}, metadata={"run": "nightly"})

    defaults: Annotated[ItemDefaults, Field(description="Fields for items that do not have them.")] = Field(
        default_factory=ItemDefaults
    )
    metadata: Annotated[
        dict[str, str], Field(description="Yours; comes back with the batch. At most 16 pairs of 1,024 characters.")
    ] = Field(default_factory=dict)
    webhook: WebhookRequest | None = None


class BatchRequest(BatchOptions):
    """A batch as one JSON document. JSON Lines is better for a large one."""

    model_config = shape(defaults={"timeout_s": 5}, items=[{"custom_id": "a", "code": "print(1)"}])

    items: list[BatchItem | JudgeItem]


class BatchHeader(BaseModel):
    """The first line of JSON Lines, if it is not an item."""

    model_config = shape(batch={"metadata": {"run": "nightly"}})

    batch: BatchOptions


class BatchLinks(BaseModel):
    """Where to go on."""

    model_config = shape(**_LINKS)

    self: str
    results: str
    events: str


class BatchAccepted(BaseModel):
    """A batch that was taken in whole."""

    model_config = shape(id=EXAMPLE_ID, state="queued", total=1000, links=_LINKS)

    id: str
    state: BatchState
    total: int
    links: BatchLinks


class WebhookView(BaseModel):
    """A webhook and what became of it."""

    model_config = shape(url="https://example.org/evalpool", state="delivered", attempts=1)

    url: str
    state: WebhookState
    attempts: int
    message: str | None = None


class BatchView(BaseModel):
    """A batch at this moment."""

    model_config = shape(**_VIEW)

    id: str
    state: BatchState
    total: int
    completed: int
    submitted: Annotated[int, Field(description="Items that wait for a worker, or run.")]
    waiting: Annotated[int, Field(description="Items that are not on a lane yet.")]
    counts: Annotated[
        dict[str, int], Field(description="Completed items by status; `internal` are those with an `error`.")
    ]
    rate_per_s: Annotated[float | None, Field(description="Items per second since it started.")] = None
    eta_s: Annotated[float | None, Field(description="Seconds to the end at this rate.")] = None
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    expires_at: Annotated[str | None, Field(description="When its results vanish.")] = None
    metadata: dict[str, str]
    webhook: WebhookView | None = None
    message: Annotated[str | None, Field(description="Why it failed.")] = None
    links: BatchLinks


class BatchList(BaseModel):
    """Batches of this token, the newest first."""

    model_config = shape(batches=[_VIEW], next=None)

    batches: list[BatchView]
    next: Annotated[str | None, Field(description="`before` of the next page; null at the end.")]


class ResultLine(BaseModel):
    """One line of the results: a `result`, `judge` if the item has cases, or an `error` if we failed the item."""

    model_config = shape(cursor=1, index=0, custom_id="task-17", result=EXAMPLE_EVAL)

    cursor: Annotated[int, Field(description="It was the how-manieth to complete; `?after=` goes on behind it.")]
    index: Annotated[int, Field(description="Place of the item in the batch, from 0.")]
    custom_id: str
    result: EvalResponse | None = None
    judge: JudgeAnswer | None = None
    error: ProblemDocument | None = None


Order = Literal["completion", "input"]
