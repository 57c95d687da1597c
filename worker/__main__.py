"""`python -m worker`: read settings, serve. Exit codes: 0 drained, 2 bad settings, 3 can never run a program."""

from __future__ import annotations

import sys

import uvloop
from pydantic import ValidationError

from jobs.logs import configure
from jobs.startup import faults
from sandbox import EnvironmentsError, SandboxUnavailable
from worker.folder import NoFolder
from worker.lifecycle import serve
from worker.memory import give_back_large_blocks
from worker.settings import WorkerSettings

EXIT_SETTINGS, EXIT_NEVER = 2, 3


def main() -> int:
    """Run one worker process."""
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        sys.stderr.writelines(f"worker: {fault}\n" for fault in faults(error))
        return EXIT_SETTINGS
    configure(settings.log_level)
    give_back_large_blocks()
    try:
        uvloop.run(serve(settings))
    except EnvironmentsError as error:
        sys.stderr.writelines(f"worker: {fault}\n" for fault in error.faults)
        return EXIT_SETTINGS
    except NoFolder as error:
        sys.stderr.write(f"worker: {error}\n")
        return EXIT_SETTINGS
    except SandboxUnavailable as error:
        sys.stderr.write(f"worker: this machine cannot run programs: {error}\n")
        return EXIT_NEVER
    return 0


if __name__ == "__main__":
    sys.exit(main())
