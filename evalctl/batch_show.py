"""Batches in the terminal: a progress bar while they run, a table of them, one in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.progress import Task

    from evalctl.batch_client import Document
    from evalctl.batch_download import Line

console = Console(stderr=True)
"""What is for people goes to stderr; stdout is for what was asked for."""
_WORDS = ("passed", "failed", "ok", "error", "timeout", "memory", "output", "killed", "cancelled", "internal")
_COLOURS = {"ok": "green", "passed": "green", "internal": "bold magenta"}


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "-/s")


class Watched:
    """A batch that runs: shows its lines going by, and counts them."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.counts: Counter[str] = Counter()

    def count(self, lines: Iterable[Line]) -> int:
        """Count lines that are there already; gives the last one's cursor."""
        cursor = 0
        for line in lines:
            self.counts[line.word] += 1
            cursor = line.cursor
        return cursor

    def show(self, lines: Iterable[Line]) -> None:
        """Draw the bar until the lines end."""
        columns = (
            SpinnerColumn(),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}"),
        )
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=self.total, completed=self.counts.total(), counts=self._text())
            for line in lines:
                self.counts[line.word] += 1
                bar.update(task, completed=self.counts.total(), counts=self._text())

    def words(self) -> str:
        """The counts in words."""
        return ", ".join(f"{self.counts[word]} {word}" for word in self._seen()) or "no results"

    def _text(self) -> str:
        return " ".join(f"[{_COLOURS.get(word, 'yellow')}]{word} {self.counts[word]}[/]" for word in self._seen())

    def _seen(self) -> Iterator[str]:
        return (word for word in sorted(self.counts, key=_place))


def _place(word: str) -> tuple[int, str]:
    return (_WORDS.index(word) if word in _WORDS else len(_WORDS), word)


def table(batches: Iterable[Document]) -> Table:
    """A line for each batch."""
    view = Table(box=None, pad_edge=False)
    for heading in ("id", "state", "completed", "counts", "created"):
        view.add_column(heading, no_wrap=heading != "counts")
    for batch in batches:
        done = f"{batch['completed']}/{batch['total']}"
        view.add_row(batch["id"], batch["state"], done, counts_of(batch), batch["created_at"])
    return view


def counts_of(batch: Document) -> str:
    """The verdicts of a batch so far."""
    counts = batch["counts"]
    return ", ".join(f"{counts[word]} {word}" for word in sorted(counts, key=_place) if counts[word])


def in_words(batch: Document) -> Iterator[str]:
    """One batch, line by line."""
    for name in ("id", "state", "message", "created_at", "started_at", "finished_at", "expires_at"):
        if batch.get(name):
            yield f"{name.removesuffix('_at')}: {batch[name]}"
    yield f"completed: {batch['completed']} of {batch['total']} ({counts_of(batch) or 'no verdict yet'})"
    if batch.get("rate_per_s"):
        yield f"rate: {batch['rate_per_s']:g} per second"
    if batch.get("eta_s") is not None:
        yield f"to go: {batch['eta_s']:g} s"
    yield from (f"metadata {key}: {value}" for key, value in batch["metadata"].items())
