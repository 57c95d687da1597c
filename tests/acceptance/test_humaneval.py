"""The example that grades completions: by its own README, against a real cluster; and its arithmetic."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import ModuleType

    from cluster import Cluster

pytestmark = [pytest.mark.jail, pytest.mark.timeout(180)]
ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "humaneval"


@pytest.fixture(scope="module")
def grade() -> Iterator[ModuleType]:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("humaneval_grade", EXAMPLE / "grade.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_readme_lines_print_what_the_readme_says(served: Cluster, tmp_path: Path) -> None:
    """In a copy, with this interpreter in the place of the installed one."""
    shutil.copytree(EXAMPLE, tmp_path / "examples" / "humaneval")
    (tmp_path / ".evalpool" / "venv" / "bin").mkdir(parents=True)
    for name in ("python", "evalctl"):
        (tmp_path / ".evalpool" / "venv" / "bin" / name).symlink_to(Path(sys.executable).with_name(name))
    text = (EXAMPLE / "README.md").read_text()
    [line] = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    [printed] = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    env = {name: value for name, value in os.environ.items() if not name.startswith("EVAL_")}
    env |= {"EVAL_URL": f"http://127.0.0.1:{served.api.port}", "EVAL_TOKEN_AUTH": served.token}
    env |= {"PYTHONPATH": str(ROOT)}
    done = [
        subprocess.run(command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        for command in (f"{line.rstrip()} --timeout 8", f"{line.rstrip()} --timeout 8 --json")  # a crowded machine
    ]

    assert (done[0].returncode, done[0].stdout) == (0, printed), done[0].stderr
    assert "sent before" in done[1].stderr
    told = json.loads(done[1].stdout)
    assert (told["samples"], told["tasks"], told["ungraded"]) == (20, 5, 0)


def test_pass_at_k_is_the_share_of_draws_that_hold_a_right_one(grade: ModuleType) -> None:
    for n, c, k in [(4, 1, 1), (4, 1, 2), (5, 2, 3), (6, 0, 2), (6, 6, 2), (4, 3, 2)]:
        draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
        assert grade.pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))
    assert math.isclose(grade.pass_at_k(200, 10, 100), 1 - math.comb(190, 100) / math.comb(200, 100))


def samples_of(grade: ModuleType, count: int) -> list[Any]:
    return [grade.Sample(f"t#{n}", "t", "code", f"word{n}") for n in range(count)]


def printed(sample: Any, *, status: str = "ok", words: str | None = None) -> dict[str, Any]:
    stdout = f"1\n{sample.word}\n" if words is None else words
    return {"custom_id": sample.name, "result": {"status": status, "stdout": stdout}}


def test_what_the_server_fails_is_sent_again_and_then_told_apart(grade: ModuleType) -> None:
    sent: list[list[str]] = []

    def run(samples: Sequence[Any], number: int) -> Iterator[Mapping[str, Any]]:
        sent.append([sample.name for sample in samples])
        for sample in samples:
            fails = sample.name == "t#0" or (sample.name == "t#1" and number == 1)
            yield {"custom_id": sample.name, "error": {"status": 500}} if fails else printed(sample)

    told = grade.report(grade.grade(samples_of(grade, 4), run), [1, 3, 4])

    assert sent == [["t#0", "t#1", "t#2", "t#3"], ["t#0", "t#1"], ["t#0"]]
    assert told == {
        "samples": 4,
        "tasks": 1,
        "counts": {"passed": 3, "ungraded": 1},
        "ungraded": 1,
        "pass@1": 1.0,
        "pass@3": 1.0,
    }


@pytest.mark.parametrize(
    ("status", "words", "wanted"),
    [
        ("ok", None, True),
        ("ok", "", False),
        ("ok", "\nword1\n", False),
        ("ok", "\nword0\nmore\n", False),
        ("error", None, False),
        ("timeout", None, False),
        ("cancelled", None, None),
    ],
)
def test_only_the_word_at_the_end_is_a_pass(
    grade: ModuleType, status: str, words: str | None, *, wanted: bool | None
) -> None:
    [sample] = samples_of(grade, 1)
    [told] = grade.grade([sample], lambda _, __: iter([printed(sample, status=status, words=words)]))

    assert told.passed is wanted


def test_words_differ_by_sample_and_by_key_and_stay_otherwise(grade: ModuleType) -> None:
    tasks = {"t": {"task_id": "t", "prompt": "def f():\n", "test": "def check(c): pass", "entry_point": "f"}}
    completions = [{"task_id": "t", "completion": "    return 1"}] * 2
    one, again, other = (grade.samples_of(completions, tasks, key) for key in (b"1", b"1", b"2"))

    assert one == again
    assert len({sample.word for sample in one + other}) == 4
    assert all(sample.word not in sample.code for sample in one)
