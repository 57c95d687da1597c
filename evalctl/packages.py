"""`evalctl packages`: options in, words and exit codes out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evalctl.change import Change
    from evalctl.installer import Sources
    from evalctl.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Packages of the default environment, beside the locked ones.")

_Requirements = Annotated[list[str] | None, typer.Argument(metavar="REQUIREMENT...", help="Such as scipy==1.14.")]
_Names = Annotated[list[str], typer.Argument(metavar="NAME...")]
_File = Annotated[Path | None, typer.Option("-r", metavar="FILE", help="A requirements file.")]
_Index = Annotated[str | None, typer.Option("--index-url", help="Instead of pip's own index.")]
_Links = Annotated[list[str] | None, typer.Option("--find-links", metavar="PLACE", help="Of wheels; repeatable.")]
_NoIndex = Annotated[bool, typer.Option("--no-index", help="Look at --find-links only.")]


@app.command("add")
def add_command(
    requirements: _Requirements = None,
    *,
    file: _File = None,
    index_url: _Index = None,
    find_links: _Links = None,
    no_index: _NoIndex = False,
) -> None:
    """Install into a new layer, try the imports in a cell, switch to it. Programs that run are not disturbed."""
    from evalctl import change  # noqa: PLC0415
    from evalctl.installer import lines_of  # noqa: PLC0415

    def work(settings: Settings) -> None:
        wanted = [*(requirements or []), *(lines_of(file) if file else [])]
        if not wanted:
            raise change.PackagesError("say what to add: scipy==1.14, or -r requirements.txt")
        _show(change.add(settings, wanted, _sources(index_url, find_links, no_index=no_index)))

    _run(work)


@app.command("remove")
def remove_command(
    names: _Names, *, index_url: _Index = None, find_links: _Links = None, no_index: _NoIndex = False
) -> None:
    """Take back what was added: builds what is left of the additions anew, at the same versions, and switches."""
    from evalctl import change  # noqa: PLC0415

    _run(lambda settings: _show(change.remove(settings, names, _sources(index_url, find_links, no_index=no_index))))


@app.command("rollback")
def rollback_command() -> None:
    """Go back to what was in use before the last change."""
    from evalctl import change  # noqa: PLC0415

    def work(settings: Settings) -> None:
        layer = change.rollback(settings)
        print(f"in use: {layer.root.name} ({', '.join(layer.requirements) or 'nothing added'})")

    _run(work)


@app.command("list")
def list_command() -> None:
    """Show what programs can import; a star marks what was added."""
    from evalctl import change  # noqa: PLC0415
    from evalctl.installer import name_of  # noqa: PLC0415

    def work(settings: Settings) -> None:
        layer, versions = change.installed(settings)
        added = {name_of(line) for line in layer.requirements}
        for name, version in sorted(versions.items()):
            print(f"{'*' if name in added else ' '} {name}=={version}")

    _run(work)


def _run(work: Callable[[Settings], None]) -> None:
    """Do it, or say in one sentence why not, and exit with 1."""
    from evalctl.change import PackagesError  # noqa: PLC0415
    from evalctl.installer import InstallError  # noqa: PLC0415
    from evalctl.settings import Settings, SettingsError  # noqa: PLC0415

    try:
        work(Settings.from_env())
    except (PackagesError, InstallError, SettingsError, OSError, UnicodeDecodeError) as error:
        print(f"evalctl: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _sources(index_url: str | None, find_links: Iterable[str] | None, *, no_index: bool) -> Sources:
    from evalctl.installer import Sources  # noqa: PLC0415

    # pip reads a relative place from where it runs; we run it where we are, but say it whole all the same.
    places: Sequence[str] = [str(Path(p).absolute()) if Path(p).exists() else p for p in find_links or []]
    return Sources(index_url=index_url, find_links=places, no_index=no_index)


def _show(change: Change) -> None:
    for name, version in sorted(change.changed.items()):
        print(f"{name}=={version}")
    size = f"{change.own_bytes / (1 << 20):.1f} MiB of its own"
    print(f"in use: {change.layer.root.name} ({size}, {change.seconds:.1f} s)")
