"""Unpacked images below `images` in the state folder: one folder per digest, there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from evalctl.images.errors import ImageError
from evalctl.scratch import locked_at_once, opened, remove_tree, scratch
from sandbox.environments_file import IMAGE_FILE, ROOT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_INCOMING = ".incoming-"
_DIGEST = "[0-9a-f]" * 64
_SHOWN = 12
_PATIENCE_S, _PAUSE_S = 90.0, 0.1
"""More than a program may take, and than workers take to let an environment go."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """What is known of an unpacked image; `image.json` in its folder."""

    digest: str
    """64 hexadecimal digits: of its manifest, as the registry knows it."""
    reference: str
    """Where it came from."""
    architecture: str
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    unpacked_bytes: int = 0
    left_out: int = 0
    """Device nodes, sockets and pipes that were not unpacked."""
    fingerprint: str = ""
    """Over everything in it; `verify` compares."""
    pulled_at: float = 0.0
    """Unix time, seconds."""

    @property
    def short(self) -> str:
        """The digest, as people say it."""
        return self.digest[:_SHOWN]


class Store:
    """The images of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def home(self, digest: str) -> Path:
        """Folder of an image."""
        return self.folder / digest

    def root(self, digest: str) -> Path:
        """Its root directory."""
        return self.home(digest) / ROOT_FOLDER

    def every(self) -> list[Image]:
        """All images, the newest last."""
        found = [image for path in self.folder.glob(f"{_DIGEST}/{IMAGE_FILE}") if (image := _read(path)) is not None]
        return sorted(found, key=lambda image: image.pulled_at)

    def get(self, digest: str) -> Image | None:
        """One image; None if it is not here."""
        return _read(self.home(digest) / IMAGE_FILE)

    def find(self, word: str) -> Image:
        """The image with this digest, beginning of a digest, or reference (its latest). Raises ImageError."""
        digits = word.removeprefix("sha256:")
        named = [image for image in self.every() if image.reference == word]
        meant = [image for image in self.every() if len(digits) >= 4 and image.digest.startswith(digits)]  # noqa: PLR2004
        if len(meant) > 1:
            raise ImageError(f"{word} begins more than one digest: {', '.join(image.short for image in meant)}")
        if found := meant or named[-1:]:
            return found[0]
        raise ImageError(f"there is no image {word} here; see: evalctl image list")

    @contextlib.contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder to unpack in, on the same disk; gone at the end. What killed commands left goes too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # cells may run as other users
        with scratch(self.folder, _INCOMING) as folder:
            yield folder

    def add(self, unpacked: Path, image: Image) -> None:
        """Make `unpacked` (which holds `rootfs`) the folder of the image, in one step."""
        (unpacked / IMAGE_FILE).write_text(json.dumps(asdict(image), indent=1))
        unpacked.chmod(0o755)
        try:
            unpacked.rename(self.home(image.digest))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # else another command was first: the same image

    @contextlib.contextmanager
    def using(self, digest: str) -> Iterator[None]:
        """Nobody removes the image meanwhile. Raises ImageError."""
        with self._locked(digest, fcntl.LOCK_SH, "is being removed by another command"):
            yield

    @contextlib.contextmanager
    def removing(self, digest: str) -> Iterator[None]:
        """Nobody begins to use the image; it is removed when the block ends well and no cell runs in it any more.

        First from sight, in one step. Raises ImageError.
        """
        with self._locked(digest, fcntl.LOCK_EX, "is in use by another evalctl command just now"):
            yield
            self._wait_for_cells(digest)
            gone = self.folder / f"{_INCOMING}{secrets.token_hex(4)}"
            self.home(digest).rename(gone)
            remove_tree(gone)

    def _wait_for_cells(self, digest: str) -> None:
        """Wait until no sandbox holds the image (`sandbox.host.hold`). Raises ImageError."""
        until = time.monotonic() + _PATIENCE_S
        with opened(self.root(digest)) as descriptor:
            while not locked_at_once(descriptor, fcntl.LOCK_EX):
                if time.monotonic() > until:
                    raise ImageError(f"programs still run in {digest[:_SHOWN]} after {_PATIENCE_S:.0f} s: try again")
                time.sleep(_PAUSE_S)

    @contextlib.contextmanager
    def _locked(self, digest: str, how: int, taken: str) -> Iterator[None]:
        home, gone = self.home(digest), ImageError(f"{digest[:_SHOWN]} was removed meanwhile by another command")
        with contextlib.ExitStack() as stack:
            try:
                descriptor = stack.enter_context(opened(home))
                if not locked_at_once(descriptor, how):
                    raise ImageError(f"{digest[:_SHOWN]} {taken}")
                if not os.path.samestat(os.fstat(descriptor), home.stat()):
                    raise gone
            except FileNotFoundError:
                raise gone from None
            yield


def _read(file: Path) -> Image | None:
    try:
        return Image(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None
