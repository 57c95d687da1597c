"""Unpacked images below `images` in the state folder: one folder per digest, there whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalctl.images.errors import ImageError
from sandbox.environments_file import IMAGE_FILE, ROOT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_INCOMING = ".incoming-"
_SHOWN = 12


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
        found = [image for path in self.folder.glob(f"*/{IMAGE_FILE}") if (image := _read(path)) is not None]
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
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in self.folder.glob(f"{_INCOMING}*"):
                if not _is_locked(left):
                    remove_tree(left)
            folder = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=self.folder))
            ours = os.open(folder, os.O_RDONLY)
            fcntl.flock(ours, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            remove_tree(folder)
            os.close(ours)

    def add(self, unpacked: Path, image: Image) -> None:
        """Make `unpacked` (which holds `rootfs`) the folder of the image, in one step."""
        (unpacked / IMAGE_FILE).write_text(json.dumps(asdict(image), indent=1))
        unpacked.chmod(0o755)
        with contextlib.suppress(OSError):  # another command was first: the same image
            unpacked.rename(self.home(image.digest))

    def remove(self, digest: str) -> None:
        """Remove an image; first from sight, in one step."""
        gone = self.folder / f"{_INCOMING}{digest}"
        self.home(digest).rename(gone)
        remove_tree(gone)


def remove_tree(folder: Path) -> None:
    """Remove a folder, also one with folders that may not be written to."""

    def allow(function: Any, path: str, _: Any) -> None:
        os.chmod(os.path.dirname(path), stat.S_IRWXU)  # noqa: PTH101, PTH120  shutil speaks in strings
        if function is not os.unlink:
            os.chmod(path, stat.S_IRWXU)  # noqa: PTH101
            shutil.rmtree(path, ignore_errors=True)
            return
        os.unlink(path)  # noqa: PTH108

    shutil.rmtree(folder, onerror=allow)


def _is_locked(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read(file: Path) -> Image | None:
    try:
        return Image(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None
