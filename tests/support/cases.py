# SPDX-License-Identifier: Apache-2.0
"""Runs the test cases of a script for ctest. Each has its end, whatever it waits for; what cannot be tried on this machine is
said in a line that tests/run counts. Exit code 77 if that was all of it."""

import os
import signal
import sys
import unittest

MOST_SECONDS = 300     # of one case
CLEANUP_SECONDS = 60   # and of its end, when it took longer


class Result(unittest.TextTestResult):
    def startTest(self, test):  # noqa: N802
        def give_up(*_):
            signal.alarm(CLEANUP_SECONDS)
            raise AssertionError(f"after {MOST_SECONDS} s still not at its end")
        signal.signal(signal.SIGALRM, give_up)
        signal.alarm(MOST_SECONDS)
        super().startTest(test)

    def stopTest(self, test):  # noqa: N802
        signal.alarm(0)
        super().stopTest(test)


def main(argv=None):
    ran = unittest.main(module="__main__", argv=argv, verbosity=2, exit=False,
                        testRunner=unittest.TextTestRunner(resultclass=Result, verbosity=2)).result
    for test, why in ran.skipped:
        print(f"skipped: {test.id().removeprefix('__main__.')}: {why}")
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: that would wait for threads which a test left behind.
    os._exit(1 if not ran.wasSuccessful() else 77 if ran.testsRun and len(ran.skipped) == ran.testsRun else 0)
