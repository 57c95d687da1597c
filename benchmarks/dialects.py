"""How other services that run programs are asked, and how they answer: each in its own published protocol. Pure.

Read in the services' own sources, at the commits that docs/rivals.md names:

- snekbox: `POST /eval`, `snekbox/api/resources/eval.py`
- SandboxFusion: `POST /run_code`, `sandbox/server/sandbox_api.py`, `sandbox/runners/types.py`
- code-judge: `POST /run`, `app/model.py`, README "API"
- LibreCodeInterpreter: `POST /exec`, `src/models/exec.py`, `src/api/exec.py`
- Piston: `POST /api/v2/execute`, `docs/api-v2.md`
- dify-sandbox: `POST /v1/sandbox/run`, `internal/controller/run.go`, `internal/service/run_code.go`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.load import Answer, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.load import Program

TIMEOUT_S = 10
"""Asked of every service that lets its caller choose; the default of most."""


class Told(NamedTuple):
    """What a service tells of a program."""

    said: str
    """All that its answer has for a machine to read about how the program ended, in the service's own words."""
    ok: bool
    """Whether that means an exit with 0, or nothing that speaks against it."""
    stdout: str = ""
    stderr: str = ""

    def __str__(self) -> str:
        """For a person: what a program could have printed itself stands in brackets."""
        last = self.stderr.strip().rpartition("\n")[2][:60]
        return f"{self.said} ({last})" if last else self.said


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A protocol: where to post, what, and what the answer means."""

    path: str
    ask: Callable[[str], Mapping[str, object]]
    read: Callable[[Mapping[str, Any]], Told]
    broken: str | None
    """What it says when it failed itself; None if no field tells that."""
    key: str = "Authorization: Bearer "
    """Header, up to the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival(Endpoint):
    """A running service and the dialect that it speaks."""

    label: str
    dialect: Dialect

    def encode(self, program: Program) -> bytes:
        name, _, scheme = self.dialect.key.partition(": ")
        headers = {name: scheme + self.token} if self.token else {}
        return self.post(self.dialect.path, self.dialect.ask(program.code), **headers)

    def judge(self, program: Program, code: int, body: bytes) -> Answer:
        told = self.told(code, body)
        if told.ok and program.stdout not in {None, told.stdout}:
            return Answer(status="wrong_output")
        return Answer(status="ok" if told.ok else told.said, stdout=told.stdout)

    def told(self, code: int, body: bytes) -> Told:
        """What its answer means."""
        try:
            fields = json.loads(body)
            return self.dialect.read(fields) if code == 200 else Told(_problem(code, fields), ok=False)
        except (ValueError, TypeError, AttributeError, LookupError):
            return Told(f"HTTP {code}, {len(body)} bytes that are no answer", ok=False)


def _problem(code: int, fields: Mapping[str, Any]) -> str:
    words = fields.get("title") or fields.get("message") or fields.get("detail") or ""
    return f"HTTP {code} {words}".strip()


def _evalpool(answer: Mapping[str, Any]) -> Told:
    status, code = answer["status"], answer["exit_code"]
    said = status if code in {0, None} else f"{status} {code}"
    return Told(said, status == "ok", answer["stdout"], answer["stderr"])


def _snekbox(answer: Mapping[str, Any]) -> Told:
    """stderr comes within stdout."""
    return Told(f"returncode {answer['returncode']}", answer["returncode"] == 0, answer["stdout"])


def _sandboxfusion(answer: Mapping[str, Any]) -> Told:
    if (run := answer["run_result"]) is None:
        return Told(answer["status"], ok=False, stderr=answer["message"])
    said = f"{answer['status']} {run['status']} {run['return_code']}"
    return Told(said, answer["status"] == "Success", run["stdout"] or "", run["stderr"] or "")


def _codejudge(answer: Mapping[str, Any]) -> Told:
    said = answer["reason"] or f"run_success {answer['run_success']}"
    return Told(said, answer["run_success"], answer["stdout"] or "", answer["stderr"] or "")


def _libre(answer: Mapping[str, Any]) -> Told:
    """It tells no exit code and no status: nothing but what was printed, and its own words in the place of stderr."""
    return Told("nothing", ok=True, stdout=answer["stdout"], stderr=answer["stderr"])


def _piston(answer: Mapping[str, Any]) -> Told:
    run = answer["run"]
    said = " ".join(str(run[name]) for name in ("status", "code", "signal") if run.get(name) is not None)
    return Told(said, said == "0", run["stdout"], run["stderr"])


def _dify(answer: Mapping[str, Any]) -> Told:
    """Its `error` holds its own words and, after them, the program's."""
    if answer["code"] != 0:
        return Told(f"code {answer['code']}", ok=False, stderr=answer["message"])
    run = answer["data"]
    return Told(f"exit_code {run['exit_code']}", run["exit_code"] == 0, run["stdout"], run["stderr"] or run["error"])


DIALECTS = {
    "evalpool": Dialect(
        path="/v1/eval",
        ask=lambda code: {"code": code, "timeout_s": TIMEOUT_S},
        read=_evalpool,
        broken="HTTP 5xx and a problem",
    ),
    "snekbox": Dialect(path="/eval", ask=lambda code: {"input": code}, read=_snekbox, broken="returncode 255"),
    "sandboxfusion": Dialect(
        path="/run_code",
        ask=lambda code: {"code": code, "language": "python", "run_timeout": TIMEOUT_S},
        read=_sandboxfusion,
        broken="SandboxError",
    ),
    "codejudge": Dialect(
        path="/run",
        ask=lambda code: {"type": "python", "solution": code},
        read=_codejudge,
        broken="internal_error",
    ),
    "libre": Dialect(
        path="/exec",
        ask=lambda code: {"code": code, "lang": "py", "timeout": TIMEOUT_S * 1000},
        read=_libre,
        broken=None,
        key="x-api-key: ",
    ),
    "piston": Dialect(
        path="/api/v2/execute",
        ask=lambda code: {
            "language": "python",
            "version": "*",
            "files": [{"content": code}],
            "run_timeout": TIMEOUT_S * 1000,
            "run_cpu_time": TIMEOUT_S * 1000,
        },
        read=_piston,
        broken="XX",
    ),
    "dify": Dialect(
        path="/v1/sandbox/run",
        # Without it the filter ends what its own runtime does beside the program (epoll_pwait), at random.
        ask=lambda code: {"language": "python3", "code": code, "enable_network": True},
        read=_dify,
        broken="code -500",
        key="X-Api-Key: ",
    ),
}
"""By the name that `--rival` takes; what stands behind a slash in that name only tells two of a kind apart."""


def rival(told: str) -> Rival:
    """`NAME[/LABEL]=http://[TOKEN@]HOST:PORT` as a rival. Raises ValueError."""
    label, found, url = told.partition("=http://")
    dialect = DIALECTS.get(label.partition("/")[0])
    token, _, address = url.rpartition("@")
    host, _, port = address.rstrip("/").rpartition(":")
    if not (found and dialect and host and port.isdigit()):
        raise ValueError(f"a rival is NAME=http://HOST:PORT, with a name of {', '.join(DIALECTS)}: {told!r}")
    return Rival(host=host, port=int(port), token=token, label=label, dialect=dialect)
