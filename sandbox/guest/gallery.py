"""What a program shows besides its output, where it was asked for: figures, and values of bare expressions.

Each becomes a file in a folder that the host reads when the program is dead. All this runs with the program's own
rights, and what it leaves there is the program's word: it could have written the same files itself.
"""

from __future__ import annotations

import atexit
import binascii
import builtins
import io
import json
import os
import sys
import time
from importlib.machinery import PathFinder
from typing import Any

from sandbox.guest.hidden import hidden

FOLDER = "/tmp/.gallery"
_PYPLOT = "matplotlib.pyplot"
_PLAIN_CHARACTERS = 1 << 16
_RICH_BYTES = 1 << 20
"""Of one representation of a value; a larger one is left out."""
_METHODS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
}


def make() -> int:
    """Make the folder, for a host that wants to read it; its descriptor."""
    os.mkdir(FOLDER)
    return os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)


def install(figures: int, values: int) -> None:
    """Have at most so many figures and so many values kept; 0: none, and nothing is touched."""
    if figures:
        os.environ.setdefault("MPLBACKEND", "agg")
        watch = _Figures(figures)
        if _PYPLOT in sys.modules:
            watch.hook(sys.modules[_PYPLOT])
        else:
            sys.meta_path.insert(0, watch)
    if values:
        sys.displayhook = _Values(values).show


def _keep(data: bytes, suffix: str) -> None:
    """Write a file in one step: a program may be killed under it. Names follow in time, whichever process wrote."""
    name = f"{FOLDER}/{time.monotonic_ns():020d}-{os.getpid()}"
    with open(name, "wb") as file:
        file.write(data)
    os.rename(name, name + suffix)


class _Figures:
    """`pyplot.show` keeps all open figures and closes them, as a notebook does; what is open at the end is shown.

    It stands first in `sys.meta_path`, and hooks pyplot when that is imported.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    def find_spec(self, name: str, path: Any = None, _target: object = None) -> Any:
        """Find pyplot as everybody does, and hook it once it is loaded."""
        spec = PathFinder.find_spec(name, path) if name == _PYPLOT else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_hook(module: Any) -> None:
            load(module)
            self.hook(module)

        spec.loader.exec_module = load_and_hook  # type: ignore[method-assign]
        return spec

    def hook(self, pyplot: Any) -> None:
        """Take the place of `pyplot.show`. Whichever backend a program chooses: this one shows."""

        @hidden
        def show(*_args: object, **_options: object) -> None:
            self._show(pyplot)

        pyplot.show = show
        atexit.register(show)  # before pyplot's own exit function, which closes all

    @hidden
    def _show(self, pyplot: Any) -> None:
        """Keep every open figure, oldest first, and close it."""
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            if self._left and len(figure.get_children()) > 1:  # its background, and something on it
                self._left -= 1
                image = io.BytesIO()
                figure.savefig(image, format="png", bbox_inches="tight")
                _keep(image.getvalue(), ".png")
        pyplot.close("all")


class _Repr:
    """Says as its `repr` what was said before."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


class _Values:
    """A `sys.displayhook` that echoes as Python's own does, and keeps the value's representations."""

    def __init__(self, most: int) -> None:
        self._left = most

    @hidden
    def show(self, value: object) -> None:
        """Echo and keep."""
        if value is None:
            return
        builtins._ = None  # type: ignore[attr-defined]
        text = repr(value)
        sys.__displayhook__(_Repr(text))
        builtins._ = value  # type: ignore[attr-defined]
        if self._left:
            self._left -= 1
            _keep(json.dumps(_bundle(value, text)).encode(), ".json")


@hidden
def _bundle(value: object, text: str) -> dict[str, str]:
    """Representations by MIME type, images in base64. What a value fails to give is left out."""
    found = {"text/plain": text[:_PLAIN_CHARACTERS].encode(errors="backslashreplace").decode()}
    for kind, name in _METHODS.items():
        method = getattr(type(value), name, None)
        try:
            made = None if method is None else method(value)
        except Exception:  # noqa: BLE001, S112  a representation less
            continue
        if isinstance(made, bytes):
            made = binascii.b2a_base64(made, newline=False).decode()
        if isinstance(made, str) and len(made.encode(errors="replace")) <= _RICH_BYTES:
            found[kind] = made.encode(errors="replace").decode()
    return found
