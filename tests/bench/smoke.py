# SPDX-License-Identifier: Apache-2.0
"""That the bench works: a little of the fastest path and a small outage, in which every reading must arrive."""

from bench import outage, rate
from bench.rig import Fleet


def run(new_folder, say):
    small = rate.run(new_folder, say, packs=(100,), seconds=3, offers={100: Fleet(10, 20, "100ms", 2)})
    drained = outage.drain(new_folder(), say, 200, 0)
    if drained["dropped"] or small["100"]["a_post"] > 100:
        raise AssertionError("readings were dropped, or packs are larger than was asked for")
    return {}
