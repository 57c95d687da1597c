"""Whether what was printed is what was expected: by every comparison, in linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.compare import Comparator
from jobs.model import Comparison, Status, Verdict

EXACT, TRIMMED, TOKENS, FLOAT = Comparison
NEVER, BY_TRIMMED, BY_TOKENS = (), (TRIMMED,), (TOKENS, FLOAT)


@pytest.mark.parametrize(
    ("printed", "expected", "same_by"),
    [
        ("1 2\n", "1 2\n", (EXACT, TRIMMED, TOKENS, FLOAT)),
        ("", "", (EXACT, TRIMMED, TOKENS, FLOAT)),
        ("1 2", "1 2\n", (TRIMMED, TOKENS, FLOAT)),
        ("1 \t\n2\r\n\n\n", "1\n2", (TRIMMED, TOKENS, FLOAT)),
        ("\n \n", "", (TRIMMED, TOKENS, FLOAT)),
        ("1  2\n", "1 2\n", BY_TOKENS),
        (" 1 2\n", "1 2\n", BY_TOKENS),
        ("1\n2\n", "1 2\n", BY_TOKENS),
        ("\n1 2\n", "1 2\n", BY_TOKENS),
        ("12\n", "1 2\n", NEVER),
        ("1 2 3\n", "1 2\n", NEVER),
        ("1 2\n", "1 2 3\n", NEVER),
        ("", "0\n", NEVER),
        ("0\n", "", NEVER),
        ("Yes\n", "yes\n", NEVER),
        ("a\u00a0b", "a b", NEVER),
        ("1.0", "1", (FLOAT,)),
        ("1e3", "1000", (FLOAT,)),
        ("1_000", "1000", NEVER),
        ("0x10", "16", NEVER),
        ("\u0661", "1", NEVER),
        ("nan", "nan", (EXACT, TRIMMED, TOKENS, FLOAT)),
        ("nan", "1", NEVER),
        ("inf", "infinity", NEVER),
        ("inf", "1e999", NEVER),
        ("1e999", "2e999", NEVER),
        ("1e999", "1e999", (EXACT, TRIMMED, TOKENS, FLOAT)),
        ("x 1", "y 1", NEVER),
    ],
)
def test_texts(printed: str, expected: str, same_by: tuple[Comparison, ...]) -> None:
    told = tuple(one for one in Comparison if Comparator(comparison=one).same(printed, expected))

    assert told == same_by


@pytest.mark.parametrize(
    ("printed", "expected", "absolute", "relative", "same"),
    [
        ("1.000001", "1", 1e-5, 0, True),
        ("1.0001", "1", 1e-5, 0, False),
        ("1000.5", "1000", 1e-5, 1e-3, True),
        ("1002", "1000", 1e-5, 1e-3, False),
        ("-1000.5", "1000", 0, 1e-3, False),
        ("0.0000001", "0", 0, 0.5, False),
        ("0.0000001", "0", 1e-6, 0, True),
        ("3", "1", 0, 1, False),
        ("2", "1", 0, 1, True),
        ("1e308", "-1e308", 1e300, 1, False),
        ("1 2.00001 x", "1 2 x", 1e-4, 0, True),
        ("1 2.00001 x", "1 2 y", 1e-4, 0, False),
        (".5", "0.5", 0, 0, True),
        ("5.", "+5", 0, 0, True),
        ("9" * 600, "9" * 600 + " ", 0, 0, True),
        ("9" * 600, "9" * 599 + "8", 1e300, 1, False),
    ],
)
def test_tolerances(printed: str, expected: str, absolute: float, relative: float, *, same: bool) -> None:
    comparator = Comparator(comparison=FLOAT, absolute=absolute, relative=relative)

    assert comparator.same(printed, expected) == same


@pytest.mark.parametrize("status", Status)
def test_only_a_program_that_ended_well_can_pass(status: Status) -> None:
    told = {expected: Comparator().verdict(status, "", expected) for expected in (None, "", "1")}

    if status is Status.OK:
        assert told == {None: Verdict.PASSED, "": Verdict.PASSED, "1": Verdict.FAILED}
    elif status in (Status.INTERNAL, Status.CANCELLED):
        assert set(told.values()) == {None}
    else:
        assert set(told.values()) == {Verdict.FAILED}


@given(st.text(), st.sampled_from(Comparison))
def test_every_text_is_the_same_as_itself_with_more_white_space_behind(text: str, comparison: Comparison) -> None:
    comparator = Comparator(comparison=comparison)

    assert comparator.same(text, text)
    assert comparator.same(text + " \n\n", text) == (comparison is not EXACT)


HUGE = 1 << 20


@pytest.mark.parametrize("comparison", Comparison)
@pytest.mark.parametrize(
    "text",
    ["1 " * (HUGE // 2), "\n" * HUGE, " " * HUGE, "1" * HUGE, "1e" * (HUGE // 2), " \n" * (HUGE // 2), "." * HUGE],
)
def test_twice_the_text_takes_about_twice_the_time(text: str, comparison: Comparison) -> None:
    comparator = Comparator(comparison=comparison, absolute=1e-6)

    def took_s(size: int) -> float:
        started = time.process_time()
        comparator.same(text[:size] + "a", text[:size] + "b")
        return time.process_time() - started

    # A sixteenth may take a sixteenth; were it quadratic it would be a 256th. The constant is for tiny times.
    assert took_s(HUGE) < 60 * took_s(HUGE // 16) + 0.05
