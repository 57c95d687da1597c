from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bare_python import Bare

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bare(environment_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Bare:
    return Bare(python=environment_root / "bin" / "python3", home=tmp_path_factory.mktemp("home"))
