# SPDX-License-Identifier: Apache-2.0
"""kill -9 and resume, in small; the campaign with hundreds of kills is tests/faults."""

import sys
import pathlib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.kill_campaign import run_campaign  # noqa: E402


class Kills(unittest.TestCase):
    def test_nothing_read_a_second_before_a_kill_is_ever_missing(self):
        result = run_campaign(times=10, devices=4, interval_ms=50, seed=1)
        self.assertEqual(result.missing, [])
        self.assertEqual(result.wrong, [])
        self.assertGreater(result.required, 100)

    def test_the_oracle_sees_a_loss(self):
        result = run_campaign(times=3, devices=2, interval_ms=50, seed=2, sabotage=True)
        self.assertNotEqual(result.missing, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
