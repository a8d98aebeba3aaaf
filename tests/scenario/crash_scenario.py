# SPDX-License-Identifier: Apache-2.0
"""kill -9 and resume, in small; the campaign with hundreds of kills is tests/faults."""

import sys
import pathlib
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from campaigns.kill import GIVES_UP, judge, run_campaign  # noqa: E402
from campaigns.power import unexcused_repeats  # noqa: E402
from support.cases import main  # noqa: E402
from support.modbus_server import Read  # noqa: E402


class Kills(unittest.TestCase):
    def test_nothing_read_a_second_before_a_kill_is_ever_missing(self):
        result = run_campaign(times=10, devices=4, interval_ms=50, seed=1)
        self.assertEqual(result.missing, [])
        self.assertEqual(result.wrong, [])
        self.assertGreater(result.required, 100)

    def test_the_oracle_sees_a_loss(self):
        result = run_campaign(times=3, devices=2, interval_ms=50, seed=2, sabotage=True)
        self.assertNotEqual(result.missing, [])


class Oracle(unittest.TestCase):
    """What the judge makes of one value of unit 1, at kills 10 s and 15 s after the start; nothing arrived."""

    def judge(self, **times):
        read = Read(wall=0, unit=1, address=0, value=1, **times)
        return judge([read], [], starts=[0, 10.1], kills=[10, 15], units={})

    def test_a_value_taken_long_before_the_kill_is_missing(self):
        result = self.judge(asked=8.4, served=8.5, taken=8.6)
        self.assertEqual([(unit, value) for unit, value, _ in result.missing], [(1, 1)])

    def test_a_value_taken_just_before_the_kill_may_be_lost(self):
        result = self.judge(asked=9.4, served=9.5, taken=9.6)
        self.assertEqual((result.missing, result.lost_in_grace), ([], 1))

    def test_a_kill_between_the_answer_and_the_next_request_being_seen_is_the_kill_that_counts(self):
        result = self.judge(asked=9.8, served=9.99, taken=10.01)
        self.assertEqual((result.missing, result.lost_in_grace), ([], 1))

    def test_a_value_that_nothing_followed_was_on_its_way(self):
        result = self.judge(asked=8.4, served=8.5, taken=None)
        self.assertEqual((result.missing, result.lost_in_grace), ([], 1))

    def test_an_answer_that_came_too_late_is_not_the_queues(self):
        result = judge([Read(served=GIVES_UP + 1, wall=0, unit=1, address=0, value=1, taken=GIVES_UP + 1.1)], [],
                       starts=[0], kills=[GIVES_UP + 9], units={})
        self.assertEqual((result.missing, result.unclear), ([], 1))

    def test_a_machine_that_hardly_read_had_no_time(self):
        reads = [Read(served=at, wall=0, unit=1, address=0, value=at, asked=at, taken=at + 0.1) for at in (2, 3, 4)]
        result = judge(reads, [], starts=[0], kills=[8], units={}, reads_after=2)
        self.assertEqual(([value for _, value, _ in result.missing], result.unclear), ([2], 2))

    def test_a_repeat_needs_a_cut_soon_after_the_gateway_knew(self):
        def repeats(*packs, cuts):
            return len(unexcused_repeats([(at, "d", "v", 0, value) for at, *values in packs for value in values], cuts))

        self.assertEqual(repeats((10, 1), (11, 2), (30, 1), cuts=[25]), 1)  # the cut came when flash knew it
        self.assertEqual(repeats((10, 1), (11, 2), (30, 1), cuts=[12]), 0)  # before that
        self.assertEqual(repeats((10, 1), (30, 1), cuts=[25]), 0)           # the answer may never have come
        self.assertEqual(repeats((10, 1), (17, 1, 2), cuts=[]), 0)          # nor here: it is sent again at once
        self.assertEqual(repeats((10, 1), (26, 2), (30, 1), cuts=[25]), 0)  # the next pack is one of another life


if __name__ == "__main__":
    main()
