"""What a stock `rq worker` is started with (`-c worker.batches.config`): where Redis is, without naming it in `ps`.

Importing it loads the coordinator once, before RQ forks a process for every turn.
"""

from __future__ import annotations

from jobs.connect import split_urls
from worker.batches import coordinator, stopped
from worker.batches.settings import CoordinatorSettings

# RQ's queue is on the first.
REDIS_URL = split_urls(CoordinatorSettings().redis_url.get_secret_value())[0]
_PRELOADED = (coordinator, stopped)
