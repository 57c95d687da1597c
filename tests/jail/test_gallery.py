"""Figures and displayed values, in a program's own interpreter and in one that starts for it."""

from __future__ import annotations

import base64
import json
import struct
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import Ending, Limits, RunReport, RunSpec, ending_of

if TYPE_CHECKING:
    from sandbox import Sandbox

pytestmark = pytest.mark.jail

PLOT = "import matplotlib.pyplot as plt\n"
WARM: dict[str, str] = {}
COLD = {"PYTHONDONTWRITEBYTECODE": "1"}
"""A variable that only a starting interpreter reads: the program gets one of its own."""
STARTS = pytest.mark.parametrize("env", [WARM, COLD], ids=["warm", "cold"])
PATIENT = Limits(wall_s=60)
"""matplotlib takes its time where other tests have the processors."""
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


async def plot(sandbox: Sandbox, code: str, **spec: Any) -> RunReport:
    return await sandbox.run(RunSpec(code=PLOT + code, figures=True, **{"limits": PATIENT, **spec}))


async def display(sandbox: Sandbox, code: str, **spec: Any) -> RunReport:
    return await sandbox.run(RunSpec(code=code, interpreter_mode=True, display=True, **{"limits": PATIENT, **spec}))


def sizes(report: RunReport) -> list[tuple[int, int]]:
    """Width and height of each figure: they tell them apart."""
    return [struct.unpack(">II", figure[16:24]) for figure in report.figures]


@STARTS
async def test_figures_are_kept_as_they_are_shown_and_at_the_end(env: dict[str, str], sandbox: Sandbox) -> None:
    code = """
plt.figure(figsize=(2, 2)); plt.plot([1, 2])
plt.figure(figsize=(3, 3)); plt.plot([1, 2])
plt.show()
print(plt.get_fignums())
plt.figure(figsize=(4, 4)); plt.plot([1, 2])
plt.figure(figsize=(5, 5))  # nothing on it
"""
    report = await plot(sandbox, code, env=env)
    widths = [width for width, _ in sizes(report)]

    assert (ending_of(report), report.stdout, report.stderr) == (Ending.OK, b"[]\n", b"")
    assert len(widths) == 3
    assert widths == sorted(widths)


async def test_a_backend_of_the_programs_choice_shows_too(sandbox: Sandbox) -> None:
    code = "import matplotlib; matplotlib.use('svg'); plt.plot([1]); plt.show(block=True)\nfrom pylab import *; show()"
    report = await plot(sandbox, code)

    assert (ending_of(report), report.stderr, len(report.figures)) == (Ending.OK, b"", 1)


async def test_figures_survive_an_error_and_a_kill(sandbox: Sandbox) -> None:
    failed = await plot(sandbox, "plt.plot([1, 2]); 1 / 0")
    killed = await plot(sandbox, "plt.plot([1, 2]); plt.show(); plt.plot([3]); import os; os.kill(os.getpid(), 9)")

    assert (ending_of(failed), len(failed.figures)) == (Ending.FAILED, 1)
    assert b"ZeroDivisionError" in failed.stderr
    assert (ending_of(killed), len(killed.figures)) == (Ending.SIGNALLED, 1)


async def test_forked_children_show_too(sandbox: Sandbox) -> None:
    code = """
import multiprocessing
def draw(n): plt.plot([n]); plt.show()
with multiprocessing.get_context('fork').Pool(2) as pool: pool.map(draw, [1, 2])
"""
    assert len((await plot(sandbox, code)).figures) == 2


async def test_figures_beyond_the_bound_are_left_out(sandbox: Sandbox) -> None:
    code = "for n in range(5): plt.figure(figsize=(1 + n, 1)); plt.plot([n])"
    few = await plot(sandbox, code, limits=Limits(figures_count=2, wall_s=60))
    small = await plot(sandbox, code, limits=Limits(figures_bytes=100, wall_s=60))

    assert (len(few.figures), len(small.figures)) == (2, 0)


async def test_without_being_asked_nothing_is_kept_and_nothing_shows(sandbox: Sandbox) -> None:
    code = "import os; print(plt.show.__module__, 'MPLBACKEND' in os.environ, '.gallery' in os.listdir('/tmp'))"
    report = await sandbox.run(RunSpec(code=PLOT + code, limits=PATIENT))

    assert (report.stdout, report.figures, report.display) == (b"matplotlib.pyplot False False\n", (), ())


async def test_what_a_program_puts_there_itself_is_no_more_than_its_word(sandbox: Sandbox) -> None:
    """Only what is a PNG by its first bytes, and a bundle of known types, comes back."""
    code = """
import json, os
def put(name, data): open('/tmp/.gallery/' + name, 'wb').write(data)
put('1.png', b'no image'); put('2.png', b'\\x89PNG\\r\\n\\x1a\\n mine')
os.symlink('/etc/passwd', '/tmp/.gallery/3.png')
put('1.json', b'['*100000); put('2.json', b'[]'); put('3.json', b'{}'); put('4.json', b'{"text/plain": 1}')
put('5.json', b'{"application/x-mine": ""}'); put('6.json', b'{"text/plain": "\\\\ud800"}'); put('7.json', b'\\xff')
put('8.json', b'{"image/png": "*"}'); put('9.json', b'{"text/html": "mine"}'); os.mkdir('/tmp/.gallery/0.json')
put('a.json', b'{"text/plain": [' + b'[],' * 1000000 + b'[]]}')
put('b.json', b'{' + b'"text/plain": "", ' * 50 + b'"text/plain": ""}')
"""
    spec = RunSpec(code=code, figures=True, interpreter_mode=True, display=True, limits=PATIENT)
    report = await sandbox.run(spec)

    assert report.figures == (b"\x89PNG\r\n\x1a\n mine",)
    assert report.display == ({"text/html": "mine"},)


async def test_a_program_that_takes_the_folder_away_shows_nothing(sandbox: Sandbox) -> None:
    code = "import shutil; shutil.rmtree('/tmp/.gallery')"
    report = await sandbox.run(RunSpec(code=code, figures=True, limits=PATIENT))

    assert (ending_of(report), report.figures) == (Ending.OK, ())


@STARTS
async def test_values_are_displayed_in_every_representation(env: dict[str, str], sandbox: Sandbox) -> None:
    code = f"""
import base64
class Rich:
    def __repr__(self): return 'rich'
    def _repr_html_(self): return '<b>rich</b>'
    def _repr_markdown_(self): return '**rich**'
    def _repr_latex_(self): raise ValueError
    def _repr_svg_(self): return None
    def _repr_png_(self): return base64.b64decode('{PIXEL}')
None
1 + 1
Rich()
Rich
_ is Rich
"""
    report = await display(sandbox, code, env=env)
    rich = {"text/plain": "rich", "text/html": "<b>rich</b>", "text/markdown": "**rich**", "image/png": PIXEL}

    assert report.stdout == b"2\nrich\n<class '__main__.Rich'>\nTrue\n"
    assert list(report.display) == [{"text/plain": text} if isinstance(text, str) else text for text in
                                    ("2", rich, "<class '__main__.Rich'>", "True")]  # fmt: skip


async def test_a_table_is_displayed_as_html(sandbox: Sandbox) -> None:
    report = await display(sandbox, "import pandas as pd\npd.DataFrame({'a': [1, 2]})")

    assert "<table" in report.display[-1]["text/html"]


async def test_displayed_values_are_bounded(sandbox: Sandbox) -> None:
    many = await display(sandbox, "for n in range(100): n")
    long = await display(sandbox, "'a' * 100_000\n'b'", limits=Limits(display_bytes=1000))
    huge = await display(sandbox, "class A:\n  def _repr_html_(self): return 'a' * (2 << 20)\nA()")

    assert [value["text/plain"] for value in many.display] == [str(n) for n in range(64)]
    assert many.stdout.count(b"\n") == 100
    assert long.display == ({"text/plain": "'b'"},)
    assert [*huge.display[0]] == ["text/plain"]


async def test_text_that_is_not_unicode_is_displayed_all_the_same(sandbox: Sandbox) -> None:
    code = "class A:\n  def __repr__(self): return 'a\\ud800'\n  def _repr_html_(self): return 'b\\ud800'\nA()"
    report = await display(sandbox, code)

    assert report.display == ({"text/plain": "a\\ud800", "text/html": "b?"},)
    assert json.dumps(report.display)


async def test_an_error_while_a_value_is_echoed_shows_none_of_our_frames(sandbox: Sandbox) -> None:
    report = await display(sandbox, "class A:\n  def __repr__(self): 1 / 0\nA()")

    assert (ending_of(report), report.display) == (Ending.FAILED, ())
    assert b"evalpool" not in report.stderr
