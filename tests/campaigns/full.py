# SPDX-License-Identifier: Apache-2.0
"""Full disks: no space or no inodes. Uploads go on, the ballast gives way and comes back, nothing is lost, all balances.

The queue lies on a small ext4 (loop device) or tmpfs that is filled to the last byte at a random moment and freed seconds
later; in every third trial the machine loses power while it is full (kill -9, and the hot log gone). The queue's own limit is the
business of the outage campaign."""

import errno
import os
import pathlib
import random
import shutil
import tempfile
import time

from campaigns.outcome import Outcome
from support.faulty_calls import PRETEND, WRITE, FaultyCalls
from support.mounts import Mount
from support.simulator import wait_until
from support.site import Site

ROWS = "5"
TRIALS = {"ci": 4, "hand": 200}
BUG = "writes to the queue's log on the full disk that are confirmed and not done"
SIZE = 16  # MiB of the disk
COMMIT = 0.3  # seconds between commits
SAFE = COMMIT + 1.5  # what is older is on flash or sent


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    failures, figures = [], []
    for kind, share in (("ext4", trials - trials // 2), ("tmpfs", trials // 2)):
        told = on_disk(kind, share, chance, say)
        figures.append(told.figure)
        failures += told.failures
    return Outcome(trials, f"{'; '.join(figures)}; seed {seed}", failures)


def bite(seed, say):
    return on_disk("tmpfs", 3, random.Random(seed or 1), say, sabotage=True)


def on_disk(kind, trials, chance, say, sabotage=False):
    failures, released, slowest, figure = [], 0, 0.0, ""
    with tempfile.TemporaryDirectory(prefix="things-full-") as name:
        folder = pathlib.Path(name)
        with Mount(folder / "flash", SIZE, kind) as flash:
            faults = FaultyCalls(folder)
            with Site(folder, devices=10, interval_ms=20, queue_folder=flash.folder, wrapper=faults.wrapper) as site:
                ballast = flash.folder / "queue.db.ballast"
                site.gateway.start()
                if kind == "ext4" and not sabotage:
                    part = honesty(site, flash)
                    failures += [] if 0.4 <= part <= 1.1 else [f"status tells of {part:.2f} of what the device writes"]
                    figure = f", status tells of {part:.2f} of the device's bytes"
                for number in range(trials):
                    site.platform.behave(kind="up")
                    wait_until(ballast.exists, "the ballast is there", 20)
                    outcome = trial(site, flash.folder, chance, faults if sabotage else None, number % 3 == 2 or sabotage)
                    released += outcome["released"]
                    slowest = max(slowest, outcome["recovery"])
                    failures += [f"{kind} trial {number}: {text}" for text in outcome["failures"]]
                    if (number + 1) % 10 == 0:
                        say(f"{kind}: {number + 1} trials, ballast given up in {released}")
                if not sabotage:
                    failures += books(site) + ([] if released else [f"{kind}: the ballast was never needed"])
    return Outcome(trials, f"{kind}: {trials} times full, ballast given up in {released}, recovery within {slowest:.1f} s{figure}", failures)


def honesty(site, flash, seconds=5):
    """What the status says was written to flash, as a part of what the device was given; the rest is the file system's own."""
    def look():
        os.sync()
        return site.status()["queue"]["disk_bytes"], flash.device_bytes()
    site.platform.behave(kind="down")
    time.sleep(1)
    claimed, written = look()
    time.sleep(seconds)
    claimed_then, written_then = look()
    return (claimed_then - claimed) / (written_then - written)


def trial(site, folder, chance, faults, cuts_power):
    outcome = {"failures": [], "released": False, "recovery": 0.0}
    wants_inodes = not cuts_power and chance.random() < 0.25
    ballast = folder / "queue.db.ballast"
    site.platform.behave(kind="down")
    site.wait_for_values(chance.randint(5, 60))
    if faults:
        faults.hit(1, "queue.db", WRITE, PRETEND, sticky=True)
    fill(folder, wants_inodes)
    full_at, first = time.monotonic(), len(site.plc.reads)
    site.wait_for_values(600)
    outcome["released"] = not ballast.exists()
    site.platform.behave(kind="up")
    if left := site.missing(20, since=first, before=full_at + 1):
        outcome["failures"].append(f"uploads do not go on while it is full: {left[:3]}")
    if cuts_power:
        site.platform.behave(kind="down")
        cut_power(site, outcome, bool(faults))
    if faults:
        faults.heal()
    free(folder)
    freed_at = time.monotonic()
    site.platform.behave(kind="up")
    if faults:
        return outcome
    try:
        wait_until(lambda: not any("Flash" in text for text in site.alarms()), "the alarm is over", 20)
        wait_until(ballast.exists, "the ballast is back", 20)
    except AssertionError as wrong:
        outcome["failures"].append(str(wrong))
    outcome["recovery"] = time.monotonic() - freed_at
    if left := site.missing(20, before=freed_at):
        outcome["failures"].append(f"{len(left)} values missing, first {left[:3]}")
    return outcome


def cut_power(site, outcome, is_lying):
    """A full disk still takes what a commit needs, thanks to the ballast; so what is older than SAFE survives."""
    time.sleep(SAFE + 1)
    cut_at = time.monotonic()
    site.gateway.kill()
    shutil.rmtree(site.folder / "hot")
    site.gateway.start()
    site.platform.behave(kind="up")
    if left := site.missing(4 if is_lying else 20, before=cut_at - SAFE):
        outcome["failures"].append(f"{len(left)} values lost with the power, first {left[:3]}")
    site.excuse(cut_at - SAFE, cut_at)


def fill(folder, inodes):
    """To the last byte, or the last inode."""
    try:
        if inodes:
            for number in range(100_000):
                (folder / f"filler-{number}").touch()
        with open(folder / "filler", "wb", buffering=0) as file:
            for size in (1 << 16, 4096, 512, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as full:
                    if full.errno != errno.ENOSPC:
                        raise
    except OSError as full:
        if full.errno != errno.ENOSPC:
            raise


def free(folder):
    for path in folder.glob("filler*"):
        path.unlink()


def books(site):
    found = []
    wait_until(lambda: site.status()["queue"]["queued"] < 20, "the queue drains", 20)
    if site.imbalance():
        found.append(f"the books are off by {site.imbalance()}")
    if site.status()["queue"]["dropped"] and sum(site.status()["queue"]["dropped"].values()):
        found.append(f"dropped {site.status()['queue']['dropped']}")
    return found
