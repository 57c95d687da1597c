"""What a stock `rq worker` is started with (`-c worker.batches.config`): where Redis is, without naming it in `ps`.

Importing it loads the coordinator once, before RQ forks a process for every turn.
"""

from __future__ import annotations

import sys

from pydantic import ValidationError

from jobs.connect import split_urls
from jobs.startup import faults
from worker.batches import coordinator, stopped
from worker.batches.settings import CoordinatorSettings

_EXIT_SETTINGS = 2

try:
    # RQ's queue is on the first.
    REDIS_URL = split_urls(CoordinatorSettings().redis_url.get_secret_value())[0]
except ValidationError as error:
    sys.stderr.writelines(f"coordinator: {fault}\n" for fault in faults(error))
    sys.exit(_EXIT_SETTINGS)
_PRELOADED = (coordinator, stopped)
