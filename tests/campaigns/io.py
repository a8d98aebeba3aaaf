# SPDX-License-Identifier: Apache-2.0
"""I/O errors, short writes and slow syncs at the k-th call to the queue's files, once or for a while.

Polling and uploads go on, the alarm comes and goes, and after a power cut (kill -9, and the hot log gone) everything that
was older than a commit is there: no failed sync was believed."""

import errno
import pathlib
import random
import shutil
import tempfile
import time

from campaigns.outcome import Outcome
from support.faulty_calls import CHANGES, DELAY, ERROR, PRETEND, READ, SHORT, SYNC, WRITE, FaultyCalls
from support.simulator import wait_until
from support.site import Site

ROWS = "6"
TRIALS = {"ci": 7, "hand": 800}
BUG = "writes to the queue's log that fail and are confirmed"
SAFE = 2.0  # seconds after the disk is well again: by then all that was taken before is on flash or sent
FAULTS = [("an error of any change", CHANGES, ERROR, 0), ("a failed sync", SYNC, ERROR, 0), ("a failed write", WRITE, ERROR, 0),
          ("a failed read", READ, ERROR, 0), ("a short write", WRITE, SHORT, 0), ("a slow sync", SYNC, DELAY, 1500),
          ("slow writes", WRITE, DELAY, 100)]


def run(trials, seed, say):
    return campaign(trials, seed, say)


def bite(seed, say):
    return campaign(2, seed, say, sabotage=True)


def campaign(trials, seed, say, sabotage=False):
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    failures, hits, cuts, fewest = [], 0, 0, 1.0
    with tempfile.TemporaryDirectory(prefix="things-io-") as name:
        folder = pathlib.Path(name)
        faults = FaultyCalls(folder)
        with Site(folder, wrapper=faults.wrapper, queue_folder=folder / "flash") as site:
            site.gateway.start()
            for number in range(trials):
                what, calls, action, delay = FAULTS[number % len(FAULTS)]
                site.platform.behave(kind="down" if sabotage or chance.random() < 0.6 else "up")
                sticky = action == DELAY or chance.random() < 0.4
                faults.hit(1 if sabotage else chance.randint(1, 12), "flash/queue.db", WRITE if sabotage else calls,
                           PRETEND if sabotage else action, errno.EIO, sticky or sabotage, delay)
                fewest = min(fewest, polling_goes_on(site, chance.uniform(0.8, 1.6)))
                hits += faults.hits > 0
                if not sabotage:
                    faults.heal()
                is_cut = sabotage or number % 4 == 3
                try:
                    if not sabotage:
                        wait_until(lambda: not any("Flash" in text for text in site.alarms()), "the alarm is over", 20)
                    if is_cut:
                        cuts += 1
                        failures += power_cut(site, what, sabotage)
                except AssertionError as wrong:
                    failures.append(f"{what}: {wrong}")
                faults.heal()
                if (number + 1) % 50 == 0:
                    say(f"{number + 1} faults, {hits} met, {cuts} power cuts")
            site.platform.behave(kind="up")
            failures += [f"missing: {left}" for left in site.missing(5 if sabotage else 60)[:5]]
            if site.imbalance():
                failures.append(f"the books are off by {site.imbalance()}")
    if fewest < 0.25 and not sabotage:
        failures.append(f"polling went down to {fewest:.0%} of its rate")
    return Outcome(hits, f"{hits} faults met, {cuts} power cuts, polling at least at {fewest:.0%} of its rate, seed {seed}", failures)


def polling_goes_on(site, seconds):
    """For so long; returns the values read as a part of those due."""
    before = len(site.plc.reads)
    time.sleep(seconds)
    return (len(site.plc.reads) - before) / (len(site.fleet) * seconds / 0.05)


def power_cut(site, what, is_lying):
    quiet = time.monotonic()
    time.sleep(SAFE)
    site.gateway.kill()
    cut = time.monotonic()
    shutil.rmtree(site.folder / "hot")
    site.gateway.start()
    site.platform.behave(kind="up")
    left = site.missing(4 if is_lying else 30, before=quiet)
    site.excuse(quiet, cut)
    return [f"{what}: {len(left)} values lost with the power, first {left[:3]}"] if left else []
