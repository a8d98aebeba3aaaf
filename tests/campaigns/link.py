# SPDX-License-Identifier: Apache-2.0
"""A link over hours: silences in which a NAT forgets every flow, then minutes of going down and up every few seconds.

After each silence the first readings must arrive soon, though the connections of before lead nowhere and nobody says so.
While the link flaps (half of the times the interface itself goes down, half of the times packets just vanish) nothing may be
lost, and an answer that was lost repeats one pack and not more. Trials are the minutes of the longest silence; the flapping
takes as long, up to a quarter of an hour. The hours pass as they are: keep-alives are the kernel's, and it has no other clock."""

import concurrent.futures
import random
import tempfile
import time

from campaigns.mobile import DEVICES, Place, flow
from campaigns.outcome import Outcome
from campaigns.site import accepted
from support.network import ip
from support.simulator import wait_until

ROWS = "15"
NEEDS = ["iproute2"]
TRIALS = {"ci": 0, "hand": 180}
BUG = "connections kept and waited on without end"
SILENCES = [10, 45, 100, 130, 600]  # seconds; libcurl keeps a connection for 110, a keep-alive may end it after 30
SOON = 30.0  # seconds from the first reading after a silence until all have arrived: the timeout of a post


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    longest = trials * 60
    silences = [seconds for seconds in SILENCES if seconds < longest] + [longest]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:  # each thread has network namespaces of its own
        both = [pool.submit(in_folder, silence, seed, silences, say),
                pool.submit(in_folder, flapping, seed, min(longest, 900), say)]
    found = [one.result() for one in both]
    failures, told = [failure for failures, _ in found for failure in failures], [figure for _, figure in found]
    return Outcome(trials, "; ".join(told) + f"; seed {seed}", failures)


def bite(seed, say):
    failures, _ = in_folder(silence, seed, [10], say, "careless_curl", {"CARELESS": "patience"})
    return Outcome(1, "", failures)


def in_folder(play, *arguments):
    with tempfile.TemporaryDirectory(prefix="things-link-") as folder:
        return play(folder, *arguments)


def silence(folder, seed, silences, say, shim=None, environment=None):
    waits, seen, forgotten = [], set(), set()

    def passes(packet):
        seen.add(flow(packet))
        return flow(packet) is None or flow(packet) not in forgotten

    with Place(folder, seed, shim=shim, environment=environment, timeout="30s") as place:
        failures = place.start()
        place.network.passes = passes
        for seconds in silences:
            place.let_pass(2)
            place.site.plc.is_silent = True
            failures += place.site.settle("before a silence")
            forgotten.update(seen)
            begin, lost = time.monotonic(), place.network.dropped
            place.let_pass(seconds)
            arrived = len(accepted(place.platform))
            place.site.plc.is_silent = False
            served = len(place.site.plc.reads)
            wait_until(lambda served=served: len(place.site.plc.reads) > served, "the device is read again", 600)
            first = time.monotonic()
            try:
                wait_until(lambda arrived=arrived: len(accepted(place.platform)) > arrived, "a pack arrives", SOON)
                waits.append(f"{time.monotonic() - first:.1f} s after {first - begin:.0f} s")
                say(f"first pack {waits[-1]}, {place.network.dropped - lost} packets into the void")
            except AssertionError as late:
                failures.append(f"after {first - begin:.0f} s of silence: {late}; {place.site.last_words()}")
            failures += place.site.settle(f"a silence of {seconds} s", SOON)
        failures += place.site.settle("the silences", SOON)
        return failures, f"first pack {', '.join(waits)} of silence; {place.site.repeats()} readings repeated"


def flapping(folder, seed, seconds, say):
    chance = random.Random(seed)
    with Place(folder, seed) as place:
        failures = place.start()
        end, flaps = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            is_told = chance.random() < 0.5
            switch(place, False, is_told)
            place.let_pass(chance.uniform(0.3, 5))
            switch(place, True, is_told)
            place.let_pass(chance.uniform(0.3, 5))
            flaps += 1
            if flaps % 20 == 0:
                say(f"{flaps} times down and up, {packs(place)} packs through")
        through = packs(place)
        failures += place.end("a flapping link")
        repeated = repeated_packs(place)
        if repeated > flaps * DEVICES:
            failures.append(f"{repeated} packs were repeated, {flaps} times down can cost {flaps * DEVICES}")
        return failures, (f"{flaps} times down and up in {seconds} s, {through} packs through, {repeated} repeated; widest "
                          f"gap in polling {place.site.widest_gap():.2f} s")


def switch(place, is_up, is_told):
    """The link of the site, with the host knowing it or not."""
    if not is_told:
        place.network.is_up = is_up
        return
    with place.network.site():
        ip("link", "set", "trunk", "up" if is_up else "down")


def packs(place):
    return len({(unit, arrived) for unit, _, _, arrived in accepted(place.platform)})


def repeated_packs(place):
    seen, repeated = set(), set()
    for unit, value, _, arrived in accepted(place.platform):
        if (unit, value) in seen:
            repeated.add((unit, arrived))
        seen.add((unit, value))
    return len(repeated)
