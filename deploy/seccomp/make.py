"""Makes `worker.json`, the seccomp profile of a worker's container, out of the policy of cells.

A worker builds the walls, so it may do what cells may, and besides what makes namespaces and mounts; the kernel allows
those only in the user namespaces that a worker makes itself. `python deploy/seccomp/make.py` prints the profile.
"""

from __future__ import annotations

import json
from typing import Any

from sandbox.host.seccomp import load_policy, names

WALLS = {"mount", "pivot_root", "seccomp", "sethostname", "setns", "umount2", "unshare"}
"""What nsjail and the zygote build walls with, and libseccomp asks what the kernel can."""


def profile() -> dict[str, Any]:
    """Build the profile, in the form that Docker and Kubernetes read."""
    policy = load_policy()
    absent = names(policy["enosys"])
    conditional = {rule["call"] for rule in (*policy["allow_if"], *policy["allow_unless"], *policy["done"])}
    allowed = names(*policy["allow"], policy["trace"]) | conditional | WALLS
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [
            {"names": sorted(allowed), "action": "SCMP_ACT_ALLOW"},
            {"names": sorted(absent), "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        ],
    }


if __name__ == "__main__":
    print(json.dumps(profile(), indent=1))
