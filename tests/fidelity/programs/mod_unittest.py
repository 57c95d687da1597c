# unittest.main finds the program's tests and exits with 1 when one fails.
import re
import sys
import unittest


class Stream:
    def write(self, text):
        sys.stderr.write(re.sub(r"\d+\.\d+s", "0.000s", text))

    def flush(self):
        sys.stderr.flush()


class Sums(unittest.TestCase):
    def test_good(self):
        self.assertEqual(1 + 1, 2)

    def test_bad(self):
        self.assertEqual([1, 2], [1, 3])

    @unittest.skip("not today")
    def test_skipped(self):
        pass


if __name__ == "__main__":
    unittest.main(verbosity=2, testRunner=unittest.TextTestRunner(stream=Stream(), verbosity=2))
