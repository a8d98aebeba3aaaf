# SPDX-License-Identifier: Apache-2.0
"""Allocations that fail: one after the other in programs of one part each, and in the whole gateway.

A shim lets allocation number k fail. The unit tests of parsers, packer and queue may then pass, fail or abort,
but not crash or hang; a crash inside OpenSSL is counted apart. The gateway may go on or end; started anew, everything that
was safe (a second old) must arrive. As many reads may fail as allocations did."""

import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import Site, accepted, fleet, preload
from support.simulator import BUILD, Simulator, wait_until

ROWS = "9"
TRIALS = {"ci": 4, "hand": 400}  # of the whole gateway; for each of these so many times more of the parts
PART_TRIALS = 20
BUG = "a program that does not look whether it got memory"
# Test programs and the cases of theirs that are one part at work.
PARTS = [("delivery_test", "a batch becomes a pack"), ("delivery_test", "limits of records and bytes hold"),
         ("delivery_test", "tokens equal*"), ("routing_test", "*downlink_parser*"), ("queue_test", "*block_test.cpp*"),
         ("queue_test", "*clock_trust*"), ("queue_test", "what was committed survives*"),
         ("queue_test", "readings come out in order*"), ("queue_test", "without its catalogue*"),
         ("config_test", "*loader_test.cpp*")]
GRACE = 1.0


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    ends, failures = {}, []
    parts(trials * PART_TRIALS, chance, ends, failures)
    say(f"parts: {ends}")
    figure = gateway(trials, chance, failures, say)
    ended = ", ".join(f"{count} {how}" for how, count in sorted(ends.items()))
    return Outcome(trials * (PART_TRIALS + 1), f"{trials * PART_TRIALS} of parts ({ended}), {trials} of the gateway ({figure}), "
                   f"seed {seed}", failures)


def bite(seed, say):
    ends, failures = {}, []
    parts(20, random.Random(seed), ends, failures, FAIL_WILD="1")
    return Outcome(20, "", failures)


def crashed_in(text):
    """The library or program in which a crash was, by the frames that the shim printed."""
    frames = [pathlib.Path(line.split("(")[0]).name for line in text.splitlines() if line.endswith("]") and "(" in line]
    return next((name for name in frames if not name.startswith(("failing_malloc", "libc.so"))), "")


def is_excused(code, text):
    """OpenSSL 3.0 does not look whether it got its locks when it is first used."""
    return code == -signal.SIGSEGV and crashed_in(text).startswith(("libcrypto", "libssl"))


def parts(trials, chance, ends, failures, **more):
    totals = {}
    for number in range(trials):
        program, case = PARTS[number % len(PARTS)]
        filters = [f"-sf={case}" if ".cpp" in case or "parser" in case else f"-tc={case}"]
        # The first run of each says how many allocations there are; then any of them may be the one, early ones more often.
        most = totals.get((program, case), 300)
        at = chance.randrange(most) if chance.random() < 0.5 else int(most ** chance.random())
        environment = {**os.environ, **preload("failing_malloc", FAIL_AT=str(at), **more)}
        with tempfile.TemporaryDirectory(prefix="things-memory-") as folder:
            try:
                done = subprocess.run([BUILD / "tests" / program, *filters, "-ne"], env=environment, stdin=subprocess.DEVNULL,
                                      cwd=folder, capture_output=True, timeout=60)
            except subprocess.TimeoutExpired:
                failures.append(f"{program} \"{case}\" hangs when allocation {at} fails")
                continue
        code = done.returncode
        how = {0: "passed", 1: "failed", -signal.SIGABRT: "aborted"}.get(code)
        if is_excused(code, done.stderr.decode(errors="replace")):
            how = "crashed in OpenSSL"
        if how is None:
            failures.append(f"{program} \"{case}\" ends with {code} when allocation {at} fails: {done.stderr[-4000:]}")
        ends[how or code] = ends.get(how or code, 0) + 1
        # A run that passed may have been too short for this one; else there are more than that.
        totals[program, case] = max(50, min(most, at)) if how == "passed" and chance.random() < 0.2 else max(most, 2 * at)


def gateway(trials, chance, failures, say):
    """One allocation, or a hundred in a row, fails at some moment of a start, of normal running or of an outage."""
    ended = went_on = unread = 0
    with tempfile.TemporaryDirectory(prefix="things-memory-") as name:
        folder = pathlib.Path(name)
        with Simulator(folder, fleet(3)) as platform:
            with Site(folder, platform, devices=3, interval_ms=100, max_age="200ms", commit_interval="1s") as site:
                site.start()
                failures += site.settle("the start")
                site.gateway.stop()
                lost = set()
                for number in range(trials):
                    mark = folder / f"begin{number}"
                    at_start = chance.random() < 0.4
                    at = int(3000 ** chance.random()) if at_start else int(30000 ** chance.random())
                    more = {} if at_start else {"FAIL_AFTER": str(mark)}
                    if chance.random() < 0.3:
                        more["FAIL_FOR"] = "100"
                    site.gateway.environment = preload("failing_malloc", FAIL_AT=str(at), **more)
                    site.gateway.start(ready=False)
                    process = site.gateway.process
                    wait_until(lambda: site.gateway.heard("READY=1") or process.poll() is not None, "a start or an end", 30)
                    if chance.random() < 0.4:
                        platform.behave(kind="down")
                    mark.touch()
                    until = time.monotonic() + chance.uniform(0.5, 2.0)
                    wait_until(lambda: time.monotonic() > until or process.poll() is not None, "some time has passed")
                    platform.behave(kind="up")
                    code = process.poll()
                    end = time.monotonic() if code is None else max((r.taken for r in site.plc.reads if r.taken), default=0)
                    if code is None:
                        went_on += 1
                        site.gateway.kill()
                    else:
                        ended += 1
                        if code < 0 and code != -signal.SIGABRT and not is_excused(code, site.gateway.log()[-6000:]):
                            failures.append(f"the gateway ended with {code} when allocation {at} {more} failed: "
                                            f"{site.gateway.log()[-4000:]}")
                    lost |= {key for key, read in site.served().items() if read.taken > end - GRACE}
                    site.gateway.environment = {}
                    site.start()
                    given_up = missing_after(site, lost)
                    if len(given_up) <= int(more.get("FAIL_FOR", 0)) + 1:
                        lost |= given_up
                        unread += len(given_up)
                    failures += site.settle(f"allocation {at} {more} failed", 30, except_=lost)
                    site.gateway.stop()
                    if (number + 1) % 50 == 0:
                        say(f"{number + 1} trials of the gateway, {ended} ended, {len(failures)} failures")
    return f"{ended} ended by themselves, {went_on} went on, {unread} reads failed with the allocation"


def missing_after(site, lost):
    """What was read and does not arrive. A read that fails with its allocation was never a reading that is safe."""
    due = site.served().keys() - lost
    end = time.monotonic() + 5
    while True:
        missing = due - {(unit, value) for unit, value, *_ in accepted(site.platform)}
        if not missing or time.monotonic() > end:
            return missing
        time.sleep(0.05)
