"""skopeo and umoci, and what they say when they fail, in words for people."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

from evalctl import debs
from evalctl.images.errors import ImageError
from evalctl.images.progress import size_of
from evalctl.settings import child_environment
from evalctl.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_INSTALL = "install it: apt-get install skopeo umoci (or dnf, apk, brew: the same names)"
_TICK_S = 0.1
_STALL_S = 90.0
"""So long may nothing come from a registry. When it says "too many requests", skopeo asks again for 62 s."""
_PREAMBLE = (
    r'^time="[^"]*" level=\w+ msg="?(?:Error parsing image name ".*?": )?|"$|^.*unpack layer: (?:unpack entry: )?'
)
# What they say -> what it means. {what}: the image; {said}: the words that tell it; {last}: their last line.
_MEANINGS = (
    (r"no space left on device|disk quota exceeded", "the disk is full: {what} needs more room below the state folder"),
    (
        r"manifest unknown|name unknown|not found: manifest|repository name not known|reading manifest .* not found",
        "there is no image {what} in its registry",
    ),
    (
        r"unauthorized|authentication required|access to the resource is denied|denied:",
        "there is no image {what}, or it asks for a login (skopeo login REGISTRY)",
    ),
    (
        r"connection refused|no such host|i/o timeout|network is unreachable|server misbehaving|context deadline",
        "the registry of {what} cannot be reached: {said}",
    ),
    (r"toomanyrequests|too many requests", "the registry of {what} has had too many requests; ask again later"),
    (
        r"invalid status code from registry \d+|unexpected HTTP status:? \d+",
        "the registry of {what} fails: {said}",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        "the registry of {what} speaks http only: --insecure, if you trust the way to it",
    ),
    (r"certificate|x509", "the registry of {what} has a certificate that is not trusted (--insecure, if you know it)"),
    (
        r"no image found in (manifest list|image index) for architecture|choosing image instance",
        "{what} is not made for the architecture of this machine",
    ),
    (r"unpack layer: ", "a layer of {what} cannot be unpacked: {last}"),
    (r"no such file or directory|does not exist", "{what} cannot be read: {last}"),
)


class Tools:
    """Both programs, found once. They run in `folder`, which somebody removes: what they write is there."""

    def __init__(self, state: Path, folder: Path) -> None:
        self._skopeo, self._umoci = _find(state, "skopeo"), _find(state, "umoci")
        self._folder = folder

    def skopeo(
        self, what: str, *words: str, meanwhile: Callable[[], None] = lambda: None, grows: Path | None = None
    ) -> bytes:
        """Run skopeo; what it printed. Raises ImageError, also if a registry is silent and `grows` does not."""
        # The signatures of images are for policies that an operator has: /etc/containers/policy.json.
        policy = [] if _has_policy() else ["--insecure-policy"]
        stall = _Stall(what, grows) if any(word.startswith("docker://") for word in words) else None

        def look() -> None:
            meanwhile()
            if stall:
                stall.check()

        return self._run([self._skopeo, *policy, *words], what, look)

    def umoci(self, what: str, *words: str, meanwhile: Callable[[], None] = lambda: None) -> bytes:
        """Run umoci. Raises ImageError."""
        return self._run([self._umoci, *words], what, meanwhile)

    def _run(self, argv: list[str], what: str, meanwhile: Callable[[], None]) -> bytes:
        """Run a program tied to us; `meanwhile` is called ten times a second, and ends it by raising."""
        with tempfile.TemporaryFile(dir=self._folder) as out, tempfile.TemporaryFile(dir=self._folder) as errors:
            command, environ = tethered(argv, background=True), child_environment(TMPDIR=str(self._folder))
            with subprocess.Popen(
                command, cwd=self._folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=errors
            ) as process:
                try:
                    while process.poll() is None:
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            process.wait(_TICK_S)
                        meanwhile()
                except BaseException:
                    process.kill()
                    raise
            if process.returncode:
                errors.seek(0)
                raise ImageError(meaning(errors.read().decode(errors="replace"), what))
            out.seek(0)
            return out.read()


class _Stall:
    """Watches whether anything comes from a registry."""

    def __init__(self, what: str, grows: Path | None) -> None:
        self._what, self._grows = what, grows
        self._size, self._since = 0, time.monotonic()

    def check(self) -> None:
        """Raise ImageError when nothing has come for a long time."""
        now, size = time.monotonic(), size_of(self._grows) if self._grows else 0
        if size != self._size:
            self._size, self._since = size, now
        if now - self._since > _STALL_S:
            raise ImageError(f"the registry of {self._what} is silent: nothing came for {_STALL_S:.0f} s")


def _find(state: Path, name: str) -> str:
    try:
        return debs.tool(state, name)
    except debs.DebsError as error:
        raise ImageError(f"{name} is missing and cannot be fetched ({error}); {_INSTALL}") from None


def _has_policy() -> bool:
    homes = [os.path.expanduser("~/.config/containers/policy.json"), "/etc/containers/policy.json"]  # noqa: PTH111
    return any(map(os.path.exists, homes))


def meaning(said: str, what: str) -> str:
    """One sentence out of what a tool said when it failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = re.sub(_PREAMBLE, "", lines[-1].replace('\\"', '"')) if lines else "it said nothing"
    for pattern, words in _MEANINGS:
        if found := re.search(pattern, said, re.IGNORECASE):
            return words.format(what=what, said=found[0].lower(), last=last)
    return f"{what}: {last}"
