"""How long to search: `make fuzz` asks for more examples than `make test` does."""

from __future__ import annotations

import os

from hypothesis import settings

if "EVAL_FUZZ_EXAMPLES" in os.environ:
    settings.register_profile("long", max_examples=int(os.environ["EVAL_FUZZ_EXAMPLES"]), deadline=None)
    settings.load_profile("long")
