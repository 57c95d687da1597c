"""What unit tests cannot show: bad and extreme input through the whole service. Never a 500, never a hang."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cluster import Cluster

pytestmark = [pytest.mark.jail, pytest.mark.timeout(30)]
MIB = 1 << 20
REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("no code", {}, 422, "code"),
    ("empty", {"code": ""}, 422, "code"),
    ("no string", {"code": 1}, 422, "code"),
    ("NUL", {"code": "print('\0')"}, 422, "code"),
    ("code over 1 MiB", {"code": "#" * (MIB + 1)}, 413, "code"),
    ("stdin over 8 MiB", {"code": "1", "stdin": "x" * (8 * MIB + 1)}, 413, "stdin"),
    ("files over 16 MiB", {"code": "1", "files": {"a": "x" * (16 * MIB + 1)}}, 413, "files"),
    ("body over 32 MiB", {"code": "1", "files": {str(n): "x" * 11 * MIB for n in range(3)}}, 413, "body"),
    ("file outside", {"code": "1", "files": {"../a": ""}}, 422, "files.../a"),
    ("file that is the program", {"code": "1", "files": {"main.py": ""}}, 422, "files.main.py"),
    ("file and directory", {"code": "1", "files": {"a": "", "a/b": ""}}, 422, "files.a/b"),
    ("bad base64", {"code": "1", "files": {"a": {"base64": "?"}}}, 422, "files.a"),
    ("1,001 files", {"code": "1", "files": {str(n): "" for n in range(1001)}}, 422, "files"),
    ("no time", {"code": "1", "timeout_s": 0}, 422, "timeout_s"),
    ("too much time", {"code": "1", "timeout_s": 61}, 422, "timeout_s"),
    ("unknown field", {"code": "1", "memory": 1}, 422, "memory"),
]


@pytest.mark.parametrize(("request_", "status", "field"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_bad_input_is_a_problem_that_names_the_field(
    cluster: Cluster, request_: dict[str, Any], status: int, field: str
) -> None:
    [answer] = await cluster.evals(request_)

    assert (answer.code, [error["field"] for error in answer.body["errors"]]) == (status, [field])


async def test_lone_surrogates_in_json_are_a_problem(cluster: Cluster) -> None:
    async with cluster.client() as http:
        answer = await http.post(
            "/v1/eval", content=b'{"code": "\\ud800"}', headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == 422


async def test_a_program_of_1_mib_runs(cluster: Cluster) -> None:
    code = f"print(len('''{'x' * (MIB - 64)}'''))"
    answer = await cluster.eval(code)

    assert (answer.verdict, answer.stdout) == ("ok", f"{MIB - 64}\n")


async def test_8_mib_of_stdin_that_nobody_reads_block_nothing(cluster: Cluster) -> None:
    unread = {"code": "print('done')", "stdin": "x" * 8 * MIB}
    read = {"code": "import sys; print(len(sys.stdin.read()))", "stdin": "x" * 8 * MIB}
    answers = await cluster.evals(unread, read)

    assert [(one.verdict, one.stdout) for one in answers] == [("ok", "done\n"), ("ok", f"{8 * MIB}\n")]


async def test_100_mb_of_output_are_cut_off_soon(cluster: Cluster) -> None:
    code = "import sys\nfor _ in range(100): sys.{}.write('x' * 1_000_000)"
    out, err = await cluster.evals(code.format("stdout"), code.format("stderr"))

    assert (out.verdict, out.body["stdout_truncated"], len(out.stdout)) == ("output", True, MIB)
    assert (err.verdict, err.body["stderr_truncated"], len(err.body["stderr"])) == ("output", True, MIB)
    assert max(out.took_s, err.took_s) < 10


async def test_output_that_is_not_utf_8_is_replaced(cluster: Cluster) -> None:
    answer = await cluster.eval(r"import sys; sys.stdout.buffer.write(b'a\xff\xc3(\xe2\x82b\0')")

    assert (answer.verdict, answer.stdout) == (
        "ok",
        "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}(\N{REPLACEMENT CHARACTER}b\0",
    )


async def test_1000_files_arrive(cluster: Cluster) -> None:
    files = {f"d{n % 10}/f{n}": str(n) for n in range(1000)}
    code = "from pathlib import Path; print(sum(int(p.read_text()) for p in Path().rglob('f*')))"
    answer = await cluster.eval(code, files=files)

    assert (answer.verdict, answer.stdout) == ("ok", f"{sum(range(1000))}\n")


async def test_outputs_come_back_by_glob_and_never_through_a_link(cluster: Cluster) -> None:
    code = (
        "import os; os.makedirs('out/deep'); open('out/a.bin', 'wb').write(bytes(range(256)))\n"
        "open('out/deep/b.txt', 'w').write('b'); open('c.txt', 'w').write('c'); os.symlink('/etc/passwd', 'd.txt')"
    )
    answer = await cluster.eval(code, outputs=["*.txt", "out/*.bin", "none/*"])
    files = {name: base64.b64decode(file["base64"]) for name, file in answer.body["files"].items()}

    assert (answer.verdict, files) == ("ok", {"c.txt": b"c", "out/a.bin": bytes(range(256))})


async def test_figures_and_values_come_back(cluster: Cluster) -> None:
    code = "import pandas as pd\npd.DataFrame({'a': [1, 2]}).plot()\n1 + 1"
    answer = await cluster.eval(code, figures=True, interpreter_mode=True, display=True)
    axes, value = answer.body["display"]
    image = base64.b64decode(answer.body["figures"][0]["base64"])

    assert (answer.verdict, axes["text/plain"], value) == ("ok", "<Axes: >", {"text/plain": "2"})
    assert image.startswith(b"\x89PNG")


async def test_a_full_disk_is_the_programs_trouble_alone(cluster: Cluster) -> None:
    code = "for n in range(3): open(f'{n}', 'wb').write(bytes(40 << 20))"
    inodes = "for n in range(10_000): open(f'{n}', 'w').close()"
    answers = await cluster.evals(code, inodes)
    after = await cluster.eval("open('a', 'wb').write(bytes(40 << 20)); print('room')")

    assert [(one.verdict, "No space left on device" in one.body["stderr"]) for one in answers] == [("error", True)] * 2
    assert (after.verdict, after.stdout) == ("ok", "room\n")


async def test_other_ways_in_are_clear_too(cluster: Cluster) -> None:
    async with cluster.client() as http:
        answers = [
            await http.post("/v1/eval", content=b"code=1", headers={"Content-Type": "text/plain"}),
            await http.get("/v1/eval"),
            await http.post("/v1/eval", json={"code": "1"}, headers={"Authorization": "Bearer wrong"}),
            await http.post("/v1/eval", content=b"{", headers={"Content-Type": "application/json"}),
        ]

    assert [answer.status_code for answer in answers] == [415, 405, 401, 422]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
