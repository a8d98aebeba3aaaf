# SPDX-License-Identifier: Apache-2.0
"""SIGTERM under load: it ends within 5 s, and everything taken by then is sent or on flash, without the hot log's help."""

import pathlib
import random
import shutil
import tempfile
import time

from campaigns.outcome import Outcome
from support.site import Site

ROWS = "4"
TRIALS = {"ci": 3, "hand": 200}
BUG = "the queue as it was before the stop put back after it"
WITHIN = 5.0  # seconds


def run(trials, seed, say):
    return campaign(trials, seed, say)


def bite(seed, say):
    return campaign(3, seed, say, sabotage=True)


def campaign(trials, seed, say, sabotage=False):
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    failures, slowest, wanted = [], 0.0, set()
    with tempfile.TemporaryDirectory(prefix="things-stop-") as name, \
            Site(pathlib.Path(name), devices=8, interval_ms=20, commit_interval="10s") as site:
        for number in range(trials):
            site.platform.behave(kind="down" if sabotage else chance.choice(["up", "down", "up"]))
            if not sabotage and chance.random() < 0.3:
                site.platform.behave(kind="accept", delay_ms=2000, count=4)
            first = len(site.plc.reads)
            site.gateway.start()
            time.sleep(chance.uniform(0.1, 1.5))
            saved = (site.folder / "queue.db").read_bytes()
            before = time.monotonic()
            code, seconds = site.gateway.stop()
            wanted |= set(site.taken(first, before))
            slowest = max(slowest, seconds)
            if code != 0 or seconds > WITHIN:
                failures.append(f"stop {number}: exit code {code} after {seconds:.1f} s")
            shutil.rmtree(site.folder / "hot", ignore_errors=True)  # the machine goes down
            if sabotage:
                (site.folder / "queue.db").write_bytes(saved)
            if (number + 1) % 20 == 0:
                say(f"{number + 1} stops, slowest {slowest:.2f} s")
        site.platform.behave_well()
        site.gateway.start()
        there, end = site.arrived(), time.monotonic() + (5 if sabotage else 60)
        while wanted - there.keys() and time.monotonic() < end:
            time.sleep(0.2)
            there = site.arrived()
        failures += [f"missing: unit {unit} value {value}" for unit, value in sorted(wanted - there.keys())]
        if site.imbalance():
            failures.append(f"the books are off by {site.imbalance()}")
    return Outcome(trials, f"slowest stop {slowest:.2f} s, {len(wanted)} values due, seed {seed}", failures)
