"""Run a module of CPython's own regression tests; write what became of each test to `outcomes.json`.

The file maps a test's id to "ok", "skipped: why" or "failed: the end of its traceback". As `python -m test` without
options: no network, no large files. Runs on both sides, on any Python from 3.8 on.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import unittest

from test import support


class Outcomes(unittest.TestResult):
    """Remembers every test; one with a failed part has failed."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, str] = {}

    def addSuccess(self, test):
        self.of.setdefault(test.id(), "ok")

    def addSkip(self, test, reason):
        self.of.setdefault(test.id(), f"skipped: {reason}")

    def addFailure(self, test, err):
        self.of[test.id()] = "failed: " + "".join(traceback.format_exception(*err))[-2000:]

    addError = addFailure

    def addSubTest(self, _test, subtest, err):
        if err is not None:
            self.addFailure(getattr(subtest, "test_case", subtest), err)

    def addExpectedFailure(self, test, _err):
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test):
        self.of[test.id()] = "failed: it was expected to"


def outcomes(module: str) -> dict[str, str]:
    support.use_resources = ()
    result = Outcomes()
    try:
        unittest.defaultTestLoader.loadTestsFromName(module).run(result)
    except unittest.SkipTest as skip:
        return {module: f"skipped: {skip}"}
    return result.of


if __name__ == "__main__":
    target = os.path.abspath("outcomes.json")
    found = outcomes(f"test.{sys.argv[1]}")
    with open(target, "w") as file:
        json.dump(found, file)
