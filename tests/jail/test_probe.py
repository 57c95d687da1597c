from __future__ import annotations

import asyncio
import os

import pytest

from sandbox.host import probe

pytestmark = pytest.mark.jail


async def test_on_a_machine_that_jails_nothing_fails_and_what_is_less_has_its_remedy() -> None:
    checks = await asyncio.to_thread(probe.probe)

    assert [check for check in checks if check.level is probe.Level.FAIL] == []
    assert [check.name for check in checks if check.level is probe.Level.WARN and not check.fix] == []
    assert "ms" in {check.name: check for check in checks}["trial run"].detail


async def test_an_ordinary_user_is_told_that_uids_and_cgroups_are_less() -> None:
    levels = {check.name: check.level for check in await asyncio.to_thread(probe.probe)}

    assert levels["uids"] == (probe.Level.PASS if os.geteuid() == 0 else probe.Level.WARN)


@pytest.mark.parametrize(
    ("file", "text", "name", "fix"),
    [("/proc/sys/user/max_user_namespaces", "0\n", "user namespaces", "sysctl -w user.max_user_namespaces=15000")],
)
def test_a_missing_wall_fails_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, file: str, text: str, name: str, fix: str
) -> None:
    monkeypatch.setattr(probe, "_number", lambda path, default: int(text) if path == file else default)
    found = {check.name: check for check in probe._looks()}[name]

    assert (found.level, found.fix) == (probe.Level.FAIL, fix)
