# SPDX-License-Identifier: Apache-2.0
"""kill -9 at chosen points: before and after each commit, checkpoint write, hot write, deletion, and TLS record.

A preloaded library kills the gateway at its k-th call of a kind (tests/support/faulty_calls.c). The oracle is that of the
kill campaign."""

import pathlib
import random
import tempfile
import time

from campaigns import kill
from campaigns.outcome import Outcome
from support.faulty_calls import CHANGES, KILL_AFTER, KILL_BEFORE, READ, RENAME, SYNC, UNLINK, WRITE, FaultyCalls
from support.site import Site

ROWS = "3"
TRIALS = {"ci": 6, "hand": 600}
BUG = "the queue's files removed at each kill"
POINTS = [(f"{when} {what}", path, calls, action, most)
          for what, path, calls, most in (("a commit", "queue.db-wal", SYNC, 6), ("a log write", "queue.db-wal", WRITE, 30),
                                          ("any change of the database", "queue.db", CHANGES, 60),
                                          ("a hot write", "/hot/", WRITE, 20), ("a hot file's deletion", "/hot/", UNLINK, 6),
                                          ("a hot file's beginning", ".hot", 1, 6), ("a TLS record sent", "socket:", WRITE, 20),
                                          ("a TLS record received", "socket:", READ, 30),
                                          ("a rename or deletion", "queue.db", RENAME | UNLINK, 1))
          for when, action in (("before", KILL_BEFORE), ("after", KILL_AFTER))]


def run(trials, seed, say):
    return campaign(trials, seed, say)


def bite(seed, say):
    return campaign(4, seed, say, sabotage=True)


def campaign(trials, seed, say, sabotage=False):
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    order = chance.sample(POINTS, len(POINTS))
    with tempfile.TemporaryDirectory(prefix="things-points-") as name:
        folder = pathlib.Path(name)
        faults = FaultyCalls(folder)
        with Site(folder, wrapper=faults.wrapper) as site:
            starts, kills, reached, slowest = [], [], 0, 0.0
            for number in range(trials):
                _, path, calls, action, most = order[number % len(order)]
                site.platform.behave(kind="down" if sabotage or chance.random() < 0.3 else "up")
                faults.hit(chance.randint(1, most), path, calls, action)
                begin = time.monotonic()
                starts.append(begin)
                site.gateway.start(ready=False)
                reached += died(site.gateway, 1.5)
                kills.append(time.monotonic())
                site.platform.behave(kind="up")
                faults.heal()
                if sabotage:
                    kill.remove_queue(folder)
                if (number + 1) % 50 == 0:
                    say(f"{number + 1} kills, {reached} at their point, {len(site.plc.reads)} values served")
            begin = time.monotonic()
            site.gateway.start()
            slowest = time.monotonic() - begin
            # What was read just before a sabotaged kill is lost within the grace: a longer life shows the loss.
            if sabotage:
                site.platform.behave(kind="down")
                site.wait_for_values(100)
                time.sleep(2)
                site.gateway.kill()
                kills.append(time.monotonic())
                kill.remove_queue(folder)
                site.platform.behave(kind="up")
                starts.append(time.monotonic())
                site.gateway.start()
            result = kill.drain(lambda: kill.judge(site.plc.reads, kill.read_store(site.platform), starts, kills, site.units),
                                5 if sabotage else 60)
            result.slowest_start = slowest
            told = kill.told(result, seed)
            if site.imbalance():
                told.failures.append(f"the books are off by {site.imbalance()}")
            return Outcome(len(kills), f"{reached} of {len(kills)} at their point; {told.figure}", told.failures)


def died(gateway, seconds):
    """Whether the gateway was killed at its point; else it is killed now."""
    end = time.monotonic() + seconds
    while gateway.process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    if gateway.process.poll() is not None:
        return 1
    gateway.kill()
    return 0
