"""A real registry on loopback, and skopeo told to look for the images of docker.io there."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from cluster import free_port

from evalctl import debs

_START_S = 20.0


class Registry:
    """Debian's docker-registry. A context manager; everything it has is in `folder`."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.skopeo, self.umoci = debs.tool(state, "skopeo"), debs.tool(state, "umoci")
        self._command = [debs.tool(state, "docker-registry"), "serve", str(folder / "registry.yml")]

    @property
    def path(self) -> str:
        """Where the tools are, for PATH."""
        return ":".join(dict.fromkeys(str(Path(tool).parent) for tool in (self.skopeo, self.umoci)))

    @property
    def home(self) -> Path:
        """For HOME: to skopeo docker.io is here, and nowhere else."""
        file = self.folder / ".config/containers/registries.conf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'[[registry]]\nprefix = "docker.io"\nlocation = "{self.host}"\ninsecure = true\n')
        return self.folder

    def __enter__(self) -> Self:
        store = self.folder / "registry"
        (self.folder / "registry.yml").write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {store}}}}}\nhttp: {{addr: {self.host}}}\n"
        )
        with (self.folder / "registry.log").open("w") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_S
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "registry.log").read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)

    def push(self, layout: Path, name: str, *, tag: str = "latest") -> str:
        """Push an image; how it is pulled."""
        reference = f"{self.host}/{name}"
        command = [self.skopeo, "--insecure-policy", "copy", "-q", "--dest-tls-verify=false"]
        subprocess.run([*command, f"oci:{layout}:{tag}", f"docker://{reference}"], check=True, capture_output=True)
        return reference

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.host}/v2/", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            return False
