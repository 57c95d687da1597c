"""Results get into the file whole, once each and in order, whatever breaks on the way."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from evalctl import batch_client, batch_download
from evalctl.batch_client import BatchError, Unreachable
from evalctl.batch_download import Part, follow, parsed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def raw(cursor: int, status: str = "ok") -> bytes:
    return json.dumps({"cursor": cursor, "result": {"status": status}}).encode() + b"\n"


class BreakingServer:
    """Has `total` results and breaks off after every three; away for `away` views."""

    def __init__(self, total: int, *, away: int = 0) -> None:
        self.total, self.away, self.given = total, away, 0

    def results(self, _: str, *, after: int, order: str, follow: bool) -> Iterator[bytes]:
        assert (order, follow) == ("completion", True)
        for cursor in range(after + 1, self.total + 1):
            if cursor > after + 3:
                raise Unreachable("broken off")
            self.given = cursor
            yield raw(cursor)

    def view(self, _: str) -> dict[str, Any]:
        if self.away:
            self.away -= 1
            raise Unreachable("away")
        return {"state": "done", "completed": self.total}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_download, "_PAUSE_S", 0.0)


def test_broken_connections_lose_and_repeat_nothing() -> None:
    lines = follow(BreakingServer(10, away=2), "b", after=2)  # type: ignore[arg-type]

    assert [line.cursor for line in lines] == list(range(3, 11))


def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_download, "_PATIENCE_S", 0.05)

    with pytest.raises(Unreachable):
        list(follow(BreakingServer(10, away=1_000_000_000), "b", after=0))  # type: ignore[arg-type]


def test_a_download_goes_on_behind_the_last_whole_line(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    for cursor in (1, 2):
        list(Part(target, "b").append(iter([parsed(raw(cursor))])))
    with (tmp_path / "out.jsonl.b.part").open("ab") as file:
        file.write(raw(3)[:-5])
    part = Part(target, "b")

    assert [line.cursor for line in part.lines()] == [1, 2]
    list(part.append(iter([parsed(raw(3, "error"))])))
    part.finish()
    assert target.read_bytes() == raw(1) + raw(2) + raw(3, "error")
    assert list(tmp_path.iterdir()) == [target]


def test_another_batch_begins_anew(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    list(Part(target, "a").append(iter([parsed(raw(1))])))

    assert list(Part(target, "b").lines()) == []


@pytest.mark.parametrize("line", [b"<html>\n", b"[]\n", b"{}\n", b'{"cursor": 1}\n', b'{"cursor": 1, "result": 1}\n'])
def test_what_is_no_line_of_ours_is_one_sentence(line: bytes) -> None:
    with pytest.raises(BatchError, match="not one of ours"):
        parsed(line)


def test_a_failed_item_is_told_apart() -> None:
    assert parsed(b'{"cursor": 1, "error": {"status": 503}}\n').word == "internal"


def test_the_same_content_has_the_same_key_under_any_name(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in "abc")
    one.write_text("1\n")
    same.write_text("1\n")
    other.write_text("2\n")

    assert batch_client.key_of(one) == batch_client.key_of(same) != batch_client.key_of(other)
    assert len(batch_client.key_of(one)) < 255


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_goes_up_as_gzip_whatever_it_is(tmp_path: Path, *, packed: bool) -> None:
    text = b'{"custom_id": "1"}\n' * 100_000
    (path := tmp_path / "f").write_bytes(gzip.compress(text) if packed else text)

    sent = b"".join(batch_client._gzipped(path))
    assert gzip.decompress(sent) == text
    assert len(sent) < len(text) / 50
