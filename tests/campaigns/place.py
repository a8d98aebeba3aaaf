# SPDX-License-Identifier: Apache-2.0
"""The queue's place taken away or taken by something else: it starts, polls and uploads, and mends itself or starts anew.

A file system that turns read-only, or refuses for a while; a link, a folder, nothing at all where the queue should be, or another
user's file, which root leaves alone; the files taken away in full run; and a disk that is not there at the start and comes back
with readings of before: then only a new start gets on, so the gateway ends with exit code 1, as a service manager needs it."""

import errno
import os
import pathlib
import random
import shutil
import tempfile
import time

from campaigns.outcome import Outcome
from support.faulty_calls import CHANGES, ERROR, OPEN, FaultyCalls
from support.mounts import Mount
from support.simulator import wait_until
from support.site import Site

ROWS = "7"
TRIALS = {"ci": 4, "hand": 108}
BUG = "the hot log removed before that new start"
START = 5.0


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    kinds = [turns_read_only, refuses_for_a_while, other_owner, link, folder_instead, gone, unwritable_at_start, comes_back_late,
             removed_in_use]
    failures, slowest = [], 0.0
    if trials < len(kinds):
        kinds = chance.sample(kinds, trials)
    for number in range(trials):
        kind = kinds[number % len(kinds)]
        try:
            slowest = max(slowest, on_site(kind, chance))
        except AssertionError as wrong:
            failures.append(f"{kind.__name__}: {wrong}")
    if slowest > START:
        failures.append(f"{slowest:.1f} s to start")
    return Outcome(trials, f"slowest start {slowest:.2f} s, seed {seed}", failures)


def bite(seed, say):
    try:
        on_site(lambda site, flash, chance: comes_back_late(site, flash, chance, sabotage=True), random.Random(seed or 1))
        return Outcome(1, "", [])
    except AssertionError as wrong:
        return Outcome(1, "", [str(wrong)])


def on_site(kind, chance):
    """Seconds that the start took which this is about."""
    with tempfile.TemporaryDirectory(prefix="things-place-") as name:
        folder = pathlib.Path(name)
        faults = FaultyCalls(folder)
        with Mount(folder / "flash", 24, "ext4") as flash, \
                Site(folder, queue_folder=flash.folder, wrapper=faults.wrapper) as site:
            site.faults = faults
            site.platform.behave(kind="down")
            site.gateway.start()
            site.wait_for_values(chance.randint(20, 80))
            seconds = kind(site, flash, chance)
            site.platform.behave(kind="up")
            arrive(site)
            wait_until(lambda: site.imbalance() == 0, "the books balance", 5)
            return seconds


def arrive(site, since=0):
    if left := site.missing(30, since):
        raise AssertionError(f"{len(left)} values missing, first {left[:3]}")


def started(site):
    begin = time.monotonic()
    site.gateway.start()
    site.wait_for_values(5)
    return time.monotonic() - begin


def is_alarmed(site):
    return any("Flash" in text for text in site.alarms())


def turns_read_only(site, flash, chance):
    """As ext4 does after an error of its device: until it is checked and mounted anew."""
    flash.abort()
    wait_until(lambda: is_alarmed(site), "there is an alarm", 10)
    first = len(site.plc.reads)
    site.wait_for_values(40)
    site.platform.behave(kind="up")
    arrive(site, first)
    site.platform.behave(kind="down")
    site.wait_for_values(40)
    site.gateway.stop()
    flash.mend()
    return started(site)


def refuses_for_a_while(site, flash, chance):
    site.faults.hit(1, "flash/queue.db", CHANGES, ERROR, errno.EROFS, sticky=True)
    wait_until(lambda: is_alarmed(site), "there is an alarm", 10)
    first = len(site.plc.reads)
    site.wait_for_values(40)
    site.platform.behave(kind="up")
    arrive(site, first)
    site.faults.heal()
    wait_until(lambda: not is_alarmed(site), "the alarm is over", 10)
    return 0.0


def replaced(site, flash, put):
    """What was on flash alone is put aside with the file; the hot log's share comes all the same."""
    site.gateway.stop()
    queue = flash.folder / "queue.db"
    put(queue)
    site.excuse(0, time.monotonic())
    seconds = started(site)
    if not queue.is_file() or queue.is_symlink() or queue.stat().st_uid != os.geteuid():
        raise AssertionError("the queue is no file of ours")
    if not [*flash.folder.glob("queue.db.damaged-*"), *flash.folder.glob("queue.db.aside-*")]:
        raise AssertionError("what stood there was not kept")
    return seconds


def other_owner(site, flash, chance):
    """The service's, say, which root must not take over: it does not start, and touches nothing."""
    site.gateway.stop()
    queue = flash.folder / "queue.db"
    os.chown(queue, 65534, 65534)
    site.gateway.start(ready=False)
    if (code := site.gateway.wait_for_end()) != 1 or "must not take it over" not in site.gateway.log():
        raise AssertionError(f"it ended with {code}: {site.gateway.log()[-500:]}")
    if [*flash.folder.glob("queue.db.damaged-*"), *flash.folder.glob("queue.db.aside-*")] or queue.stat().st_uid != 65534:
        raise AssertionError("the queue was touched")
    os.chown(queue, os.geteuid(), os.getegid())
    return started(site)


def link(site, flash, chance):
    target = site.folder / "precious"
    target.write_text("do not touch")

    def put(queue):
        queue.unlink()
        queue.symlink_to(target)
    seconds = replaced(site, flash, put)
    if target.read_text() != "do not touch":
        raise AssertionError("the link was followed")
    return seconds


def folder_instead(site, flash, chance):
    def put(queue):
        queue.unlink()
        (queue / "inner").mkdir(parents=True)
    return replaced(site, flash, put)


def gone(site, flash, chance):
    site.gateway.kill()  # what is in the hot log must come; the rest was in the file
    site.excuse(0, time.monotonic())
    for path in flash.folder.glob("queue.db*"):
        path.unlink()
    return started(site)


def unwritable_at_start(site, flash, chance):
    site.gateway.stop()
    flash.read_only(True)
    seconds = started(site)
    wait_until(lambda: is_alarmed(site), "there is an alarm", 10)
    site.wait_for_values(40)
    flash.read_only(False)
    wait_until(lambda: not is_alarmed(site), "the alarm is over", 20)
    return seconds


def removed_in_use(site, flash, chance):
    """By a careless hand: it is told, and what was there is in a new file."""
    for path in flash.folder.glob("queue.db*"):
        path.unlink()
    wait_until(lambda: any("removed" in text for text in site.alarms()), "there is an alarm", 20)
    site.gateway.stop()
    shutil.rmtree(site.folder / "hot")
    return started(site)


def comes_back_late(site, flash, chance, sabotage=False):
    """The machine goes down; at the next start the disk does not answer, later it does."""
    site.gateway.stop()
    shutil.rmtree(site.folder / "hot")
    site.faults.hit(1, "flash/queue.db", OPEN, ERROR, errno.EIO, sticky=True)
    seconds = started(site)
    wait_until(lambda: is_alarmed(site), "there is an alarm", 10)
    site.wait_for_values(60)
    site.faults.heal()
    code = site.gateway.wait_for_end(30)
    if code != 1:
        raise AssertionError(f"the gateway ended with {code}")
    if sabotage:
        shutil.rmtree(site.folder / "hot")
    site.gateway.start()
    return seconds
