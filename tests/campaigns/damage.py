# SPDX-License-Identifier: Apache-2.0
"""Damaged queue files of every kind: it opens in seconds, balances, invents nothing, saves what was not touched.

Bits, sectors and blocks of zeros or noise, files cut short, the first page, logs that are cut, damaged or older than their
database, in the queue's own code (tests/queue/salvage_test.cpp); a random file, zeros, a sparse file of 2 GB and a log
of another queue under the real daemon."""

import pathlib
import random
import tempfile
import time

from campaigns.outcome import Outcome
from support.gateway import Gateway
from support.queue_program import play, total
from support.site import Site

ROWS = "8"
TRIALS = {"ci": 300, "hand": 20_000}
BUG = "every third row of blocks taken away"
CASE = "whatever happens to the files*"
START = 5.0  # seconds


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 30)
    parts = play(CASE, trials, seed, "DAMAGE_TRIALS")
    failures = [wrong for _, wrong in parts if wrong]
    starts, more = daemon_starts(random.Random(seed), trials > TRIALS["ci"])
    return Outcome(total(parts, "damages"), f"{'; '.join(text for text, _ in parts)}; daemon started on {len(starts)} "
                   f"other files within {max(starts):.2f} s; seed {seed}", failures + more)


def bite(seed, say):
    parts = play(CASE, 100, seed or 1, "DAMAGE_TRIALS", THINGS_DAMAGE_BUG="1")
    return Outcome(100, "", [wrong for _, wrong in parts if wrong])


def random_file(path, chance):
    path.write_bytes(chance.randbytes(300_000))


def zeros(path, chance):
    path.write_bytes(bytes(1 << 20))


def sparse(path, chance):
    with open(path, "wb") as file:
        file.truncate(2 << 30)


def large_queue(path, chance):
    """Of this gateway, but grown to 2 GB by a hole."""
    with open(path, "r+b") as file:
        file.truncate(2 << 30)


def foreign_log(path, chance):
    pathlib.Path(f"{path}-wal").write_bytes(chance.randbytes(50_000))


def first_page(path, chance):
    with open(path, "r+b") as file:
        file.write(bytes(1024))


def daemon_starts(chance, is_long):
    """(seconds of each start, failures): the real daemon over files that it must put aside or mend."""
    starts, failures = [], []
    kinds = (random_file, zeros, sparse, large_queue, foreign_log, first_page)
    for hurt in kinds if is_long else chance.sample(kinds, 2):
        with tempfile.TemporaryDirectory(prefix="things-damage-") as name, Site(pathlib.Path(name), devices=2) as site:
            site.platform.behave(kind="down")
            site.gateway.start()
            site.wait_for_values(20)
            site.gateway.stop()
            hurt(site.folder / "queue.db", chance)
            begin = time.monotonic()
            try:
                site.gateway.start()
            except AssertionError as wrong:
                failures.append(f"{hurt.__name__}: {wrong}")
                continue
            starts.append(time.monotonic() - begin)
            site.platform.behave(kind="up")
            before = len(site.plc.reads)
            site.wait_for_values(10)
            if not site.everything_arrived(since=before):
                failures.append(f"{hurt.__name__}: new values do not arrive")
            if hurt in (large_queue, foreign_log, first_page) and not site.everything_arrived():
                failures.append(f"{hurt.__name__}: the backlog was not saved")
            if starts[-1] > START:
                failures.append(f"{hurt.__name__}: {starts[-1]:.1f} s to start")
    return starts, failures
