"""Which uids a process may give to its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import SandboxUnavailable
from sandbox.host import identity

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A process as /proc shows it: root with all capabilities on a whole machine, until told otherwise."""

    def become(*, euid: int = 0, effective: str = "000001ffffffffff", ids: str = "0 0 4294967295\n") -> None:
        monkeypatch.setattr(identity.os, "geteuid", lambda: euid)
        (tmp_path / "status").write_text(f"Name:\tx\nCapEff:\t{effective}\n")
        for kind in ("uid", "gid"):
            (tmp_path / f"{kind}_map").write_text(ids)

    monkeypatch.setattr(identity, "_SELF", tmp_path)
    become()
    return become


@pytest.mark.parametrize(
    ("ids", "uids"),
    [
        ("0 0 4294967295\n", range(100_000, 165_536)),
        ("0 200000 65536\n", range(50_000, 65_536)),
        ("0 1000 1\n1 100000 65536\n", range(50_000, 65_536)),
        ("0 1000 1\n", None),
    ],
)
def test_the_range_lies_where_the_process_has_ids(process, ids: str, uids: range | None) -> None:
    process(ids=ids)

    assert identity.uid_range() == uids


def test_an_ordinary_user_gives_its_own_uid_only(process) -> None:
    process(euid=1000, effective="0" * 16)

    assert identity.uid_range() is None
    assert not identity.can_stage()


def test_two_capabilities_are_enough_for_uids_and_a_third_for_mounts(process) -> None:
    process(effective="00000000000000c0")
    assert (identity.uid_range(), identity.can_stage()) == (range(100_000, 165_536), False)

    process(effective="00000000002000c0")
    assert identity.can_stage()


def test_a_root_that_can_give_nothing_is_told_what_is_missing(process) -> None:
    process(effective="0" * 16)

    with pytest.raises(SandboxUnavailable, match="CAP_SETUID and CAP_SETGID"):
        identity.uid_range()


def test_a_folder_that_only_root_may_enter_is_named(tmp_path: Path) -> None:
    (tmp_path / "kept" / "inner").mkdir(parents=True)
    (tmp_path / "kept").chmod(0o700)

    with pytest.raises(SandboxUnavailable, match="only root may enter"):
        identity.require_reachable(tmp_path / "kept" / "inner")
    identity.require_reachable(type(tmp_path)("/usr/bin"))
