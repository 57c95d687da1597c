"""skopeo and umoci, and what they say when they fail, in words for people."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from typing import TYPE_CHECKING

from evalctl import debs
from evalctl.images.errors import ImageError
from evalctl.tether import tethered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_INSTALL = "install it: apt-get install skopeo umoci (or dnf, apk, brew: the same names)"
_TICK_S = 0.1
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
    (
        r"server gave HTTP response to HTTPS client",
        "the registry of {what} speaks http only: --insecure, if you trust the way to it",
    ),
    (r"certificate|x509", "the registry of {what} has a certificate that is not trusted (--insecure, if you know it)"),
    (
        r"no image found in (manifest list|image index) for architecture|choosing image instance",
        "{what} is not made for the architecture of this machine",
    ),
    (r"no such file or directory|does not exist", "{what} cannot be read: {last}"),
)


class Tools:
    """Both programs, found once."""

    def __init__(self, state: Path) -> None:
        self._skopeo, self._umoci = _find(state, "skopeo"), _find(state, "umoci")

    def skopeo(self, what: str, *words: str, meanwhile: Callable[[], None] = lambda: None) -> bytes:
        """Run skopeo; what it printed. Raises ImageError."""
        # The signatures of images are for policies that an operator has: /etc/containers/policy.json.
        policy = [] if _has_policy() else ["--insecure-policy"]
        return _run([self._skopeo, *policy, *words], what, meanwhile)

    def umoci(self, what: str, *words: str, meanwhile: Callable[[], None] = lambda: None) -> bytes:
        """Run umoci. Raises ImageError."""
        return _run([self._umoci, *words], what, meanwhile)


def _find(state: Path, name: str) -> str:
    try:
        return debs.tool(state, name)
    except debs.DebsError as error:
        raise ImageError(f"{name} is missing and cannot be fetched ({error}); {_INSTALL}") from None


def _has_policy() -> bool:
    homes = [os.path.expanduser("~/.config/containers/policy.json"), "/etc/containers/policy.json"]  # noqa: PTH111
    return any(map(os.path.exists, homes))


def _run(argv: list[str], what: str, meanwhile: Callable[[], None]) -> bytes:
    """Run a program tied to us; `meanwhile` is called ten times a second."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        with subprocess.Popen(tethered(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=errors) as process:
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


def meaning(said: str, what: str) -> str:
    """One sentence out of what a tool said when it failed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = re.sub(r'^time="[^"]*" level=\w+ msg="?|"$', "", lines[-1]) if lines else "it said nothing"
    for pattern, words in _MEANINGS:
        if found := re.search(pattern, said, re.IGNORECASE):
            return words.format(what=what, said=found[0].lower(), last=last)
    return f"{what}: {last}"
