"""Grade completions in the HumanEval format through a batch, and print pass@k.

    python grade.py SAMPLES [--problems PROBLEMS] [--k 1,10] [--timeout 3] [--json]

Exit codes: 0 every completion was graded; 3 some were not, for no fault of theirs; 1 a file or the server is wrong.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import hmac
import json
import math
import secrets
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Run = Callable[[Sequence["Sample"], int], Iterator[Mapping[str, Any]]]
    """Runs samples, in the round of this number; gives lines of results."""

ROUNDS = 3
"""How often a completion is sent that the server failed to run."""
UNGRADED = 3

PROGRAM = """{prompt}{completion}

{test}

check({entry_point})

import sys
sys.stdout.flush()
sys.stdout.buffer.write(b"\\n" + sys.stdin.buffer.readline())
"""
"""What runs. Whoever gets to its end passes: the last line is a word that came on stdin and is nowhere else."""


class Sample(NamedTuple):
    """One completion of one task, ready to run."""

    name: str
    """Unique among all samples."""
    task_id: str
    code: str
    word: str
    """What the program prints at its end, if it gets there."""


class Grade(NamedTuple):
    """What became of a sample; `passed` None: the server failed to run it."""

    task_id: str
    passed: bool | None
    status: str


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a file of JSON Lines, also gzip."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from (json.loads(line) for line in file if line.strip())


def samples_of(
    completions: Iterable[dict[str, Any]], problems: Mapping[str, dict[str, Any]], key: bytes
) -> list[Sample]:
    """Each completion with its task's prompt and tests. Raises KeyError on a task or field that is missing."""
    counts = Counter[str]()
    samples = []
    for completion in completions:
        task = problems.get(completion["task_id"], {}) | completion
        name = f"{task['task_id']}#{counts[task['task_id']]}"
        counts[task["task_id"]] += 1
        # Nobody guesses it, and the same completions make the same file: a broken run goes on.
        word = hmac.new(key, name.encode(), hashlib.sha256).hexdigest()
        samples.append(Sample(name, task["task_id"], PROGRAM.format_map(task), word))
    return samples


def grade(samples: Sequence[Sample], run: Run) -> list[Grade]:
    """Run the samples; those that the server fails are sent again. No verdict is never a wrong answer."""
    grades: dict[str, Grade] = {}
    left = list(samples)
    for number in range(1, ROUNDS + 1):
        by_name = {sample.name: sample for sample in left}
        for line in run(left, number):
            sample = by_name[line["custom_id"]]
            if "result" in line:
                grades[sample.name] = _graded(sample, line["result"])
        left = [sample for sample in left if sample.name not in grades]
        if not left:
            break
    return [grades.get(sample.name) or Grade(sample.task_id, None, "ungraded") for sample in samples]


def _graded(sample: Sample, result: Mapping[str, Any]) -> Grade:
    if result["status"] == "cancelled":
        return Grade(sample.task_id, None, "cancelled")
    reached = result["status"] == "ok" and result["stdout"].endswith(f"\n{sample.word}\n")
    status = "passed" if reached else "left early" if result["status"] == "ok" else result["status"]
    return Grade(sample.task_id, reached, status)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that one of k samples, drawn from n of which c are right, is right: unbiased (Chen et al., 2021)."""
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / one for one in range(n - c + 1, n + 1))


def report(grades: Iterable[Grade], ks: Sequence[int]) -> dict[str, Any]:
    """pass@k, the mean over the tasks that have so many graded samples, and what became of the samples."""
    found: dict[str, list[bool]] = defaultdict(list)
    counts = Counter[str]()
    for one in grades:
        counts[one.status] += 1
        if one.passed is not None:
            found[one.task_id].append(one.passed)
    told: dict[str, Any] = {"samples": counts.total(), "tasks": len(found), "counts": dict(counts.most_common())}
    told["ungraded"] = counts["ungraded"] + counts["cancelled"]
    for k in ks:
        rates = [pass_at_k(len(passed), sum(passed), k) for passed in found.values() if len(passed) >= k]
        if rates:
            told[f"pass@{k}"] = sum(rates) / len(rates)
    return told


def run_by_evalctl(folder: Path, timeout_s: float) -> Run:
    """Runs samples as a batch of the server that `EVAL_URL` names; the files stay in `folder`."""

    def run(samples: Sequence[Sample], number: int) -> Iterator[Mapping[str, Any]]:
        programs, results = folder / f"programs-{number}.jsonl", folder / f"results-{number}.jsonl"
        with programs.open("w") as file:
            for one in samples:
                item = {"custom_id": one.name, "code": one.code, "stdin": f"{one.word}\n", "timeout_s": timeout_s}
                file.write(json.dumps(item) + "\n")
        evalctl = shutil.which("evalctl", path=str(Path(sys.executable).parent)) or "evalctl"
        # 3: some items have no verdict, which is what `grade` is there for.
        command = [evalctl, "batch", "submit", programs, "--wait", "-o", results]
        done = subprocess.run(command, stdout=sys.stderr, check=False)
        if done.returncode not in (0, 3):
            raise SystemExit(done.returncode)
        yield from read(results)

    return run


def _key(folder: Path) -> bytes:
    path = folder / "key"
    if not path.exists():
        path.write_text(secrets.token_hex())
    return path.read_bytes()


def main() -> int:
    """Grade a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=Path, help="task_id and completion; and the task's fields, without --problems")
    parser.add_argument("--problems", type=Path, help="task_id, prompt, test, entry_point; also gzip")
    parser.add_argument("--k", default="1,10,100", help="which pass@k, if there are so many samples per task")
    parser.add_argument("--timeout", type=float, default=3.0, help="seconds for each completion")
    parser.add_argument("--folder", type=Path, help="for programs and results; by default SAMPLES.graded")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    asked = parser.parse_args()
    folder: Path = asked.folder or asked.samples.with_name(f"{asked.samples.name}.graded")
    try:
        folder.mkdir(exist_ok=True)
        problems = {task["task_id"]: task for task in read(asked.problems)} if asked.problems else {}
        samples = samples_of(read(asked.samples), problems, _key(folder))
    except (OSError, ValueError, KeyError) as error:
        print(f"grade.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    told = report(grade(samples, run_by_evalctl(folder, asked.timeout)), [int(k) for k in asked.k.split(",")])
    print(json.dumps(told) if asked.json else _words(told))
    return UNGRADED if told["ungraded"] else 0


def _words(told: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in told["counts"].items())
    rates = [f"{name}: {value:.3f}" for name, value in told.items() if name.startswith("pass@")]
    unsure = [f"not graded, and not counted: {told['ungraded']}"] if told["ungraded"] else []
    return "\n".join([f"{told['samples']} samples of {told['tasks']} tasks: {counts}", *unsure, *rates])


if __name__ == "__main__":
    sys.exit(main())
