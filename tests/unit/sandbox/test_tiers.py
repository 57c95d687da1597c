from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import Environment, Sandbox, SandboxConfig, Tier

if TYPE_CHECKING:
    from pathlib import Path

SCIENCE = [
    "import numpy",
    "import numpy as np",
    "import os, numpy as np",
    "import os,sympy",
    "from numpy import array",
    "from numpy.linalg import inv",
    "import numpy.linalg",
    "\timport numpy",
    "if True:\n    import pandas",
    "try:\n  from  scipy import stats\nexcept ImportError: pass",
    "from matplotlib import pyplot as plt",
]
BARE = [
    "",
    "import os",
    "print('import numpy')",
    "# import numpy",
    "import numpy_financial_not",
    "from .numpy import x",
    "from notnumpy import numpy",
]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    tiers = (
        Tier(name="bare", preload=()),
        Tier(name="science", preload=(), serves=frozenset({"numpy", "sympy", "pandas", "scipy", "matplotlib"})),
    )
    return Sandbox(Environment(packages=tmp_path, tiers=tiers), SandboxConfig(run_dir=tmp_path / "run"))


@pytest.mark.parametrize("code", SCIENCE)
def test_the_imports_of_a_program_pick_its_tier(code: str, sandbox: Sandbox) -> None:
    assert sandbox._tier(code) == "science"


@pytest.mark.parametrize("code", BARE)
def test_a_program_that_imports_nothing_of_it_stays_in_the_first_tier(code: str, sandbox: Sandbox) -> None:
    assert sandbox._tier(code) == "bare"
