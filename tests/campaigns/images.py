# SPDX-License-Identifier: Apache-2.0
"""Power cuts by replay: images of what a cut at any write could leave of the queue's files, each opened and compared.

The queue's own code works on a disk in memory that knows what was synced (tests/support/memory_vfs.hpp). Of what was not,
nothing survives, everything, some writes, or some sectors of some writes. What an image holds must be exactly what the
last commit left, or the one that was cut."""

import random

from campaigns.outcome import Outcome
from support.queue_program import play, total

ROWS = "1"
TRIALS = {"ci": 40_000, "hand": 400_000}
BUG = "syncs swallowed, and log syncs put off to the checkpoint as with synchronous=NORMAL"
BITE = 120  # images
CASE = "after a power cut at any write*"


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 30)
    parts = play(CASE, trials, seed, "CRASH_IMAGES")
    return Outcome(total(parts, "images"), f"{total(parts, 'images')} images of {total(parts, 'cuts')} cuts, "
                   f"{total(parts, 'wrong')} wrong, {total(parts, 'unopened')} unopened, seed {seed}",
                   [wrong for _, wrong in parts if wrong])


def bite(seed, say):
    """Both bugs must be seen."""
    found = []
    for bug in ("swallowed", "normal"):
        parts = play(CASE, BITE, seed or 1, "CRASH_IMAGES", THINGS_CRASH_BUG=bug)
        say(f"planted {bug}: {total(parts, 'wrong')} of {total(parts, 'images')} images wrong")
        if total(parts, "wrong"):
            found.append(bug)
    return Outcome(BITE, "", found if len(found) == 2 else [])
