"""The science tier under default limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox import Ending, RunSpec, ending_of

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox import Sandbox

pytestmark = pytest.mark.jail
PROGRAMS = {
    "numpy with threads": (
        "import numpy as np\nfrom concurrent.futures import ThreadPoolExecutor as E\n"
        "def work(n): a = np.full((120, 120), 1.0 + n); return (a @ np.linalg.inv(a + np.eye(120))).shape\n"
        "with E(4) as e: print(set(e.map(work, range(16))) == {(120, 120)})"
    ),
    "numpy after fork": (
        "import multiprocessing as m, numpy as np\n"
        "def work(n): return float((np.eye(200) * n @ np.eye(200)).sum())\n"
        "with m.get_context('fork').Pool(3) as p: print(p.map(work, [1, 2]) == [200.0, 400.0])"
    ),
    "pandas": "import pandas as pd; print(pd.DataFrame({'a': [1, 1, 2], 'b': [1, 2, 3]}).groupby('a').b.sum()[1] == 3)",
    "sympy": "import sympy as s; x = s.Symbol('x'); print(s.integrate(2 * x, x) == x ** 2)",
    "scipy": "import scipy.optimize as o; print(abs(o.brentq(lambda x: x * x - 2, 0, 2) ** 2 - 2) < 1e-9)",
}


@pytest.mark.parametrize("code", PROGRAMS.values(), ids=PROGRAMS)
async def test_it_works(code: str, sandbox: Sandbox) -> None:
    report = await sandbox.run(RunSpec(code=code))

    assert (ending_of(report), report.stdout, report.tier) == (Ending.OK, b"True\n", "science")


async def test_a_figure_comes_back_as_an_output(sandbox: Sandbox) -> None:
    code = "import matplotlib; matplotlib.use('Agg')\nimport matplotlib.pyplot as p\np.plot([1, 2]); p.savefig('a.png')"
    report = await sandbox.run(RunSpec(code=code, outputs=("*.png",)))

    assert ending_of(report) is Ending.OK, report.stderr
    assert report.files["a.png"].startswith(b"\x89PNG")


async def test_no_program_has_to_list_the_fonts(sandbox: Sandbox, environment_root: Path) -> None:
    """Each one that plotted did, for 0.1 s of processor time, and on a busy machine said so on stderr."""
    if not list(environment_root.glob("share/matplotlib/fontlist-*")):
        pytest.skip("the environment was installed before there was a list: `make clean` makes a new one")
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO, stream=sys.stdout)\n"
        "import matplotlib as m, os\nfrom matplotlib import font_manager as f\n"
        "print(os.path.isfile(f.findfont('DejaVu Sans', fallback_to_default=False)), m.get_cachedir())\n"
        "open(m.get_cachedir() + '/mine', 'w').close()"
    )
    report = await sandbox.run(RunSpec(code=code))
    apart = await sandbox.run(RunSpec(code=code, env={"MPLCONFIGDIR": "/tmp/mine"}))

    assert (report.stderr, report.stdout) == (b"", b"True /tmp/.cache/matplotlib\n")
    assert apart.stdout.splitlines() == [b"INFO:matplotlib.font_manager:generated new fontManager", b"True /tmp/mine"]


async def test_programs_that_do_not_plot_find_an_empty_folder(sandbox: Sandbox) -> None:
    report = await sandbox.run(RunSpec(code="import os; print(os.listdir('/tmp'))"))

    assert (report.tier, report.stdout) == ("bare", b"[]\n")
