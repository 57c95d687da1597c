"""What root gathers for its jails: device nodes and set-user-id files in it are dead."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sandbox.host.identity import can_stage

if TYPE_CHECKING:
    from pathlib import Path

LOOK = """
import os, sys
from sandbox.host.launch import stage
stage("/mnt", {"image": sys.argv[1]})
print(bool(os.statvfs("/mnt/image").f_flag & os.ST_NOSUID))
os.open("/mnt/image/null", os.O_RDWR)
"""

SERVE = """
import asyncio, sys
from pathlib import Path
from sandbox import RunSpec, Sandbox, SandboxConfig, default_environment
from sandbox.guest import linux
linux.unshare(linux.CLONE_NEWNS)
linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
linux.mount("none", sys.argv[1], "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=0755")
async def main():
    config = SandboxConfig(run_dir=Path(sys.argv[1], "run"), slots=1)
    async with Sandbox(default_environment(Path(sys.argv[2])), config) as sandbox:
        print((await sandbox.run(RunSpec(code="print(1 + 1)"))).stdout)
asyncio.run(main())
"""

pytestmark = pytest.mark.jail


@pytest.mark.skipif(not can_stage(), reason="only root mounts")
def test_a_device_node_in_an_image_cannot_be_opened(tmp_path: Path) -> None:
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.close(os.open(tmp_path / "null", os.O_RDWR))
    done = subprocess.run([sys.executable, "-c", LOOK, tmp_path], capture_output=True, text=True, check=False)

    assert done.stdout == "True\n"
    assert "PermissionError" in done.stderr


@pytest.mark.skipif(not can_stage(), reason="only root mounts")
def test_a_state_folder_on_a_file_system_without_devices_serves(environment_root: Path, tmp_path: Path) -> None:
    """As /tmp, /home and containers' volumes often are: what nsjail mounts from there has flags that must stay."""
    done = subprocess.run(
        [sys.executable, "-c", SERVE, tmp_path, environment_root], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("b'2\\n'\n", "")
