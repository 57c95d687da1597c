"""What docs/languages.md has to be copied works: the file in a real worker, the requests over HTTP."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cluster import Cluster

from sandbox.environments_file import load
from sandbox.presets import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox import Environment

PAGE = (Path(__file__).parents[2] / "docs" / "languages.md").read_text()
TOML = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
LINES = re.findall(r"(?m)^curl .*?^  -d '.*?'$", PAGE, re.DOTALL)
PRINTED = {"bash": "1+2+3\n", "node": "1,4,9\n", "c": "hello\n", "cpp": "42\n"}
REFUSED = "int main(void) { return x; }"

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]


def body_of(line: str) -> dict[str, Any]:
    """What a curl line sends."""
    words = shlex.split(line.replace("\\\n", " "))
    found: dict[str, Any] = json.loads(words[words.index("-d") + 1])
    return found


def has(environment: str) -> bool:
    """Whether this machine has the toolchain."""
    preset = PRESETS[environment]
    return shutil.which((preset.compile or preset.command)[0]) is not None


@pytest.fixture(scope="module")
def languages(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that serves the page's file, as far as this machine has what it names."""
    file = tmp_path_factory.mktemp("languages") / "environments.toml"
    presets = {name: table["preset"] for name, table in tomllib.loads(TOML[0]).items() if has(name)}
    file.write_text("".join(f'[{name}]\npreset = "{preset}"\n' for name, preset in presets.items()))
    with Cluster(environment_root, EVAL_ENVIRONMENTS_FILE=file) as cluster:
        yield cluster


async def test_the_requests_give_what_one_expects(languages: Cluster) -> None:
    await languages.ready()
    bodies = [body for line in LINES if has((body := body_of(line))["environment"])]
    answers = await languages.evals(*bodies)

    assert {body_of(line)["environment"] for line in LINES} == PRESETS.keys() == PRINTED.keys()
    assert [(answer.verdict, answer.stdout) for answer in answers] == [
        ("ok", PRINTED[body["environment"]]) for body in bodies
    ]


@pytest.mark.skipif(not has("c"), reason="this machine has no gcc")
async def test_an_error_of_the_compiler_reaches_the_caller_apart_from_the_run(languages: Cluster) -> None:
    await languages.ready()
    answer = await languages.eval(REFUSED, environment="c")
    compiled = answer.body["compile"]

    assert (answer.verdict, answer.body["exit_code"], answer.stdout, answer.body["stderr"]) == ("error", 1, "", "")
    assert (compiled["exit_code"], compiled["cached"], compiled["wall_ms"] > 0) == (1, False, True)
    assert "main.c:1:25: error:" in compiled["stderr"]


async def test_what_is_pythons_is_refused(languages: Cluster) -> None:
    await languages.ready()
    answer = await languages.eval("echo", environment="bash", figures=True)

    assert (answer.code, answer.verdict) == (422, "environment")


@pytest.mark.skipif(not has("c"), reason="this machine has no gcc")
async def test_a_judge_of_a_compiled_language_compiles_once(languages: Cluster) -> None:
    await languages.ready()
    code = '#include <stdio.h>\nint main(void) { int a, b; scanf("%d %d", &a, &b); printf("%d\\n", a + b); }'
    cases = [{"stdin": f"{number} 1", "expected_stdout": str(number + 1)} for number in range(8)]
    async with languages.client() as http:
        answer = (await http.post("/v1/judge", json={"code": code, "environment": "c", "cases": cases})).json()
    cached = [case["result"]["compile"]["cached"] for case in answer["cases"]]

    assert (answer["verdict"], answer["passed"]) == ("passed", 8)
    assert sorted(cached) == [False, *[True] * 7]


async def test_no_file_may_have_the_name_of_the_program_whatever_that_is(languages: Cluster) -> None:
    await languages.ready()
    files = [{"main.py": "given\n"}, {"main.sh": ""}]
    taken, refused = await languages.evals(
        *({"code": "cat main.*y", "environment": "bash", "files": given} for given in files)
    )

    assert (taken.verdict, taken.stdout) == ("ok", "given\n")
    assert (refused.code, refused.verdict) == (422, "environment")


@pytest.mark.parametrize("text", TOML)
def test_the_files_are_taken(text: str, tmp_path: Path) -> None:
    file = tmp_path / "environments.toml"
    file.write_text(text)
    default: Environment = PRESETS["bash"]

    assert len(load(file, tmp_path, default)) > 1
