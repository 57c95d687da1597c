"""`evalctl image`: options in, words and exit codes out."""

from __future__ import annotations

import errno
import sys
import time
from pathlib import Path  # noqa: TC003 (typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from evalctl.images.actions import Images, Switched
    from evalctl.images.source import Source


class _Group(TyperGroup):
    """`evalctl image python:3` is `evalctl image add python:3`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["add", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_Group, no_args_is_help=True, help="Container images as environments: `evalctl image python:3`.")

_Name = Annotated[str | None, typer.Option(help="Of the environment; else after the reference.")]
_Word = Annotated[str, typer.Argument(metavar="IMAGE", help="An environment, a reference, a digest or its beginning.")]


@app.command("add")
def add_command(
    reference: Annotated[str | None, typer.Argument(metavar="REF", help="Such as python:3.")] = None,
    *,
    from_tar: Annotated[Path | None, typer.Option(help="A tar of `docker save`, or an OCI archive.")] = None,
    from_dir: Annotated[Path | None, typer.Option(help="An OCI layout, or an unpacked root.")] = None,
    name: _Name = None,
    filename: Annotated[str | None, typer.Option(help="The file that a program becomes, such as main.py.")] = None,
    command: Annotated[str | None, typer.Option(help="What runs it, such as 'python3 main.py'.")] = None,
    preload: Annotated[list[str] | None, typer.Option(metavar="MODULE", help="To be loaded beforehand.")] = None,
    insecure: Annotated[bool, typer.Option(help="The registry by http, or with any certificate.")] = False,
) -> None:
    """Pull an image, unpack it, try it in a cell, and have workers serve it as an environment."""
    from evalctl.images.actions import Wishes  # noqa: PLC0415 (each command pays for its own imports only)
    from evalctl.images.progress import Steps  # noqa: PLC0415

    def work(images: Images) -> None:
        source = _source(reference, from_tar, from_dir, insecure=insecure)
        wishes = Wishes(name=name, filename=filename, command=command, preload=preload or ())
        with Steps() as steps:
            image, switched = images.add(source, wishes, steps)
        size = f"{image.unpacked_bytes / (1 << 20):.0f} MiB"
        left_out = f", {image.left_out} special files left out" if image.left_out else ""
        print(f"image {image.short} ({image.reference}, {size}{left_out})")
        _show(switched)

    _run(work)


@app.command("list")
def list_command() -> None:
    """Show the images that are here, and which environments use them."""

    def work(images: Images) -> None:
        for image in images.store.every():
            users = ", ".join(images.registry.users(image.digest)) or "-"
            size = f"{image.unpacked_bytes / (1 << 20):.0f} MiB"
            pulled = time.strftime("%Y-%m-%d %H:%M", time.localtime(image.pulled_at))
            print(f"{image.short}  {size:>9}  {pulled}  {image.reference}  ({users})")

    _run(work)


@app.command("use")
def use_command(image: _Word, *, name: Annotated[str, typer.Option(help="Of the environment.")] = "default") -> None:
    """Have an environment run in an image that is here; `host`: in none."""
    from evalctl.images.progress import Steps  # noqa: PLC0415

    def work(images: Images) -> None:
        with Steps() as steps:
            switched = images.use(image, name, steps)
        _show(switched)

    _run(work)


@app.command("rm")
def rm_command(
    image: _Word, *, force: Annotated[bool, typer.Option("--force", help="Its environments too.")] = False
) -> None:
    """Remove an image from this machine."""

    def work(images: Images) -> None:
        removed = images.remove(image, force=force)
        print(f"removed {removed.short} ({removed.reference})")

    _run(work)


@app.command("verify")
def verify_command(image: Annotated[str | None, typer.Argument(metavar="IMAGE")] = None) -> None:
    """Look whether images are as they were unpacked, and run a program in each environment that uses them."""

    def work(images: Images) -> None:
        for word in [image] if image else [known.digest for known in images.store.every()]:
            print(images.verify(word))

    _run(work)


def _source(reference: str | None, tar: Path | None, folder: Path | None, *, insecure: bool) -> Source:
    from evalctl.images import source  # noqa: PLC0415
    from evalctl.images.errors import ImageError  # noqa: PLC0415

    if sum(given is not None for given in (reference, tar, folder)) != 1:
        raise ImageError("say one image: a reference such as python:3, --from-tar FILE, or --from-dir FOLDER")
    if tar is not None:
        return source.of_tar(tar.absolute())
    if folder is not None:
        return source.of_folder(folder.absolute())
    return source.of_reference(reference or "", insecure=insecure)


def _show(switched: Switched) -> None:
    environment = switched.environment
    print(f"environment {switched.name}: {' '.join(environment.command)} in {environment.workdir}")
    print(f"{switched.served or 'workers take it over by themselves'} ({switched.took_s:.1f} s)")


def _run(work: Callable[[Images], None]) -> None:
    """Do it, or say in one sentence why not, and exit with 1."""
    from evalctl.images.actions import Images  # noqa: PLC0415
    from evalctl.images.errors import ImageError  # noqa: PLC0415
    from evalctl.settings import Settings, SettingsError  # noqa: PLC0415

    try:
        work(Images(Settings.from_env()))
    except (ImageError, SettingsError) as error:
        _fail(str(error))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        _fail(f"the disk is full: {error.filename}" if full else str(error))
    except KeyboardInterrupt:
        _fail("interrupted; nothing was changed")


def _fail(sentence: str) -> NoReturn:
    print(f"evalctl: {sentence}", file=sys.stderr)
    raise typer.Exit(1) from None
