"""The process that coordinates batches: RQ's own worker, on the one queue that batches are in."""

from __future__ import annotations

COMMAND = (
    *("-P", "-m", "rq.cli", "worker"),
    # Where Redis is comes from EVAL_REDIS_URL: arguments are seen by everybody on the machine.
    *("-c", "worker.batches.config"),
    *("-S", "json"),
    # How often it says that it lives: what brings an abandoned batch back within seconds.
    *("--job-monitoring-interval", "2"),
    "batches",
)
"""Arguments of the Python interpreter."""
