"""Which runs a started interpreter takes."""

from __future__ import annotations

import pytest

from sandbox import RunSpec
from sandbox.preludes import PRELUDES


@pytest.mark.parametrize(
    ("language", "spec", "fits"),
    [
        ("bash", RunSpec(code="", stdin=b"x", files={"a": b""}, outputs=("*",)), True),
        ("bash", RunSpec(code="", env={"MINE": "", "PATH": "/bin", "HOME": "/tmp", "a1": "b", "OPENAI_KEY": ""}), True),
        ("bash", RunSpec(code="", merge_streams=True), True),
        ("bash", RunSpec(code="", args=("a",)), False),
        ("bash", RunSpec(code="", strace=True), False),
        ("node", RunSpec(code="", args=("a",), env={"MINE": "", "a.b": ""}), True),
        ("node", RunSpec(code="", merge_streams=True), False),
        ("node", RunSpec(code="", strace=True), False),
        *(
            ("bash", RunSpec(code="", env={name: ""}), False)
            for name in (
                "BASH_ENV", "BASH_FUNC_f%%", "IFS", "LANG", "LC_ALL", "TZ", "LD_PRELOAD", "POSIXLY_CORRECT",
                "SHELLOPTS", "PS4", "UID", "EUID", "RANDOM",
                "SECONDS", "PWD", "OLDPWD", "_", "a.b", "1a", "", "OPTIND", "MINE\n",
            )
        ),
        *(
            ("node", RunSpec(code="", env={name: ""}), False)
            for name in ("NODE_OPTIONS", "NODE_ENV", "LANG", "TZ", "LD_PRELOAD", "UV_THREADPOOL_SIZE")
        ),
    ],
)  # fmt: skip
def test_what_it_cannot_be_given_exactly_goes_elsewhere(language: str, spec: RunSpec, fits: bool) -> None:  # noqa: FBT001
    assert PRELUDES[language].fits(spec) is fits
