"""`evalctl batch`: a file of programs in, a file of results out. Options, words, exit codes.

Exit codes: 0 every item has a verdict, whatever it is; 3 some have none, we failed them; 4 the batch was cancelled or
given up; 130 left running by Ctrl-C; 1 refused, or the server is out of reach; 2 the command line is wrong; 141 nobody
reads our output.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evalctl.batch_client import BatchServer, Document
    from evalctl.batch_show import Watched

app = typer.Typer(no_args_is_help=True, help="Many programs in one upload, every result once.")
REFUSED, USAGE, UNJUDGED, ENDED, LEFT, GONE = 1, 2, 3, 4, 130, 141

_Id = Annotated[str, typer.Argument(metavar="ID", help="As `evalctl batch list` shows it.")]
_Json = Annotated[bool, typer.Option("--json", help="For scripts: JSON on stdout.")]
_Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Results; by default FILE.results.jsonl.")
]


@app.command("submit")
def submit_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON Lines, each an item; also as gzip.")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Stay, and fetch the results.")] = False,
    output: _Output = None,
    again: Annotated[bool, typer.Option("--again", help="A new batch, though this file was sent before.")] = False,
    as_json: _Json = False,
) -> None:
    """Send a file of programs. The same file again is the same batch: a broken --wait goes on where it was."""
    from evalctl.batch_client import key_of  # noqa: PLC0415 (each command pays for its own imports only)

    if not file.is_file():
        _fail(f"there is no file {file}", code=USAGE)
    with _server() as server:
        accepted = server.submit(file, key=None if again else key_of(file))
        batch_id = accepted["id"]
        if not wait:
            again_ = ", sent before" if accepted["replayed"] else ""
            _print(accepted, f"{batch_id} ({accepted['total']} items{again_})", as_json=as_json)
            raise typer.Exit
        _say(
            f"batch {batch_id}, {accepted['total']} items" + (": sent before, goes on" if accepted["replayed"] else "")
        )
        _fetch(server, batch_id, output or file.with_name(f"{file.name}.results.jsonl"), as_json=as_json)


@app.command("results")
def results_command(
    batch_id: _Id,
    *,
    output: _Output = None,
    after: Annotated[int, typer.Option(min=0, help="Go on behind this cursor.")] = 0,
    in_order: Annotated[bool, typer.Option("--in-order", help="By the items' order; what there is so far.")] = False,
    as_json: _Json = False,
) -> None:
    """Print results as they come until the batch is over; with --output into a file, resumed if it was broken off."""
    from evalctl.batch_download import follow  # noqa: PLC0415

    with _server() as server:
        if output is not None:
            _fetch(server, batch_id, output, as_json=as_json)
        if in_order:
            for raw in server.results(batch_id, after=after, order="input", follow=False):
                sys.stdout.buffer.write(raw)
            raise typer.Exit
        for line in follow(server, batch_id, after=after):
            sys.stdout.buffer.write(line.raw)
            sys.stdout.buffer.flush()


@app.command("list")
def list_command(
    *, limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20, as_json: _Json = False
) -> None:
    """Batches of this token, the newest first."""
    from rich.console import Console  # noqa: PLC0415

    from evalctl import batch_show  # noqa: PLC0415

    with _server() as server:
        batches = list(server.list(limit=limit))
    if as_json:
        print(json.dumps(batches))
    else:
        Console(width=None if sys.stdout.isatty() else 200).print(batch_show.table(batches))


@app.command("show")
def show_command(batch_id: _Id, *, as_json: _Json = False) -> None:
    """How far a batch is."""
    from evalctl import batch_show  # noqa: PLC0415

    with _server() as server:
        batch = server.view(batch_id)
    _print(batch, "\n".join(batch_show.in_words(batch)), as_json=as_json)


@app.command("cancel")
def cancel_command(batch_id: _Id, *, as_json: _Json = False) -> None:
    """Kill what runs of a batch, run no more of it. Results so far are kept."""
    with _server() as server:
        batch = server.cancel(batch_id)
    _print(batch, f"{batch_id} is {batch['state']}, {batch['completed']} of {batch['total']} done", as_json=as_json)


def _fetch(server: BatchServer, batch_id: str, target: Path, *, as_json: bool) -> NoReturn:
    """Download to the end, and leave with the exit code that says how it was."""
    from evalctl import batch_show  # noqa: PLC0415
    from evalctl.batch_download import Part, follow  # noqa: PLC0415

    watched = batch_show.Watched(server.view(batch_id)["total"])
    part = Part(target, batch_id)
    while True:
        try:
            watched.counts.clear()
            cursor = watched.count(part.lines())
            watched.show(part.append(follow(server, batch_id, after=cursor)))
            break
        except KeyboardInterrupt:
            _interrupted(server, batch_id)
    part.finish()
    view = server.view(batch_id)
    _print(view, f"{view['state']}: {watched.words()}; results in {target}", as_json=as_json)
    raise typer.Exit(_exit_code(view, watched))


def _interrupted(server: BatchServer, batch_id: str) -> None:
    """Ctrl-C: ask what it meant. Returns if the wait goes on."""
    _say(f"\nthe batch {batch_id} runs on its own")
    answer = ""
    if sys.stdin.isatty():
        print("[c]ancel it, [l]eave it running (Enter), or [w]ait on? ", end="", file=sys.stderr, flush=True)
        try:
            answer = sys.stdin.readline().strip().lower()[:1]
        except KeyboardInterrupt:  # once more: no questions then
            _say("")
    if answer == "w":
        return
    if answer == "c":
        view = server.cancel(batch_id)
        _say(f"{view['state']}; {view['completed']} of {view['total']} were done")
        raise typer.Exit(ENDED)
    _say(f"left running; `evalctl batch submit` of the same file goes on, `evalctl batch cancel {batch_id}` ends it")
    raise typer.Exit(LEFT)


def _exit_code(view: Document, watched: Watched) -> int:
    if view["state"] != "done":
        return ENDED
    return UNJUDGED if watched.counts["internal"] else 0


@contextmanager
def _server() -> Iterator[BatchServer]:
    """The server that the settings name; what goes wrong with it becomes one sentence and an exit code."""
    from evalctl.batch_client import BatchError, BatchServer  # noqa: PLC0415
    from evalctl.settings import Settings, SettingsError  # noqa: PLC0415

    try:
        settings = Settings.from_env()
        with BatchServer(settings.base_url, settings.known_token()) as server:
            yield server
    except BrokenPipeError:
        # Whoever read our output has gone: leave as `cat` would, and keep Python from flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(GONE) from None
    except (SettingsError, BatchError, OSError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(LEFT) from None


def _print(document: Document | dict[str, Any], words: str, *, as_json: bool) -> None:
    print(json.dumps(document) if as_json else words)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _fail(sentence: str, *, code: int = REFUSED) -> NoReturn:
    _say(f"evalctl: {sentence}")
    raise typer.Exit(code)
