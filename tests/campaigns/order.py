# SPDX-License-Identifier: Apache-2.0
"""The order in which readings arrive, seen by the platform: live before backlog, backlog oldest first, fair, never two
requests of a device at once, never more than things.parallel, min_interval kept, a link that comes up tried at once."""

import contextlib
import pathlib
import random
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import Site, accepted, fleet
from support.faulty_relay import FaultyRelay
from support.network import WORLD, SITE, Network, ip
from support.simulator import PATH, Simulator, wait_until

ROWS = "order"
NEEDS = ["iproute2"]
TRIALS = {"ci": 1, "hand": 30}
BUG = "a second gateway that sends for the same devices"
DEVICES = 6


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    failures, figures = [], {}
    for number in range(trials):
        chance = random.Random(seed + number)
        for part in (after_outage, bounds, quota, link):
            with tempfile.TemporaryDirectory(prefix="things-order-") as name:
                failures += part(pathlib.Path(name), chance, figures)
        say(f"{number + 1} rounds, {len(failures)} failures")
    return Outcome(trials * 4, "; ".join(f"{what} {min(found):.2f} to {max(found):.2f}" for what, found in figures.items()) +
                   f"; seed {seed}", failures)


def bite(seed, say):
    with tempfile.TemporaryDirectory(prefix="things-order-") as name:
        return Outcome(1, "", after_outage(pathlib.Path(name), random.Random(seed), {}, doubled=True))


def note(figures, what, value):
    figures.setdefault(what, []).append(value)


def after_outage(folder, chance, figures, doubled=False):
    """Small packs and slow answers, so that the backlog takes a while beside the live readings."""
    failures = []
    with Simulator(folder, fleet(DEVICES)) as platform, contextlib.ExitStack() as stack:
        site = stack.enter_context(Site(folder, platform, devices=DEVICES, interval_ms=50, max_age="400ms",
                                        batch="max_records: 10", things="parallel: 2"))
        if doubled:
            inner = folder / "second"
            inner.mkdir()
            second = stack.enter_context(Site(inner, platform, devices=DEVICES, interval_ms=50, max_age="400ms"))
            second.start()
        site.start()
        failures += site.settle("the start") if not doubled else []
        platform.behave(kind="down")
        away, served = time.time(), len(site.plc.reads)
        wait_until(lambda: len(site.plc.reads) > served + DEVICES * chance.randrange(60, 100), "an outage", 60)
        before = len(accepted(platform))
        platform.behave(kind="accept", delay_ms=30, count=0)
        platform.behave(kind="up")
        back = time.time()
        until = len(site.plc.reads)
        due = {(read.unit, read.value) for read in list(site.plc.reads)[:until] if read.taken}
        wait_until(lambda: due <= {(unit, value) for unit, value, *_ in accepted(platform)} or doubled and time.time() > back + 5,
                   "the backlog has drained", 60)
        arrived = accepted(platform)[before:]
        if platform.stats()["overlapping_requests"]:
            failures.append(f"{platform.stats()['overlapping_requests']} requests of one device overlapped")
        for unit in range(1, DEVICES + 1):
            # What was on its way when the outage began goes first, byte by byte the same, since it may have arrived.
            mine = [(value, at, when) for u, value, at, when in arrived if u == unit and at > away + 0.5]
            if not mine:
                failures.append(f"unit {unit}: nothing arrived")
                continue
            first_pack = [value for value, at, when in mine if when == mine[0][2]]
            newest_then = max((value for (u, value), read in site.served().items() if u == unit and read.wall < mine[0][2] - 1),
                              default=0)
            if max(first_pack) < newest_then:
                failures.append(f"unit {unit}: the first pack after the outage ends with {max(first_pack)}, {newest_then} was there")
            # The backlog: what was read in the outage and did not come with that first pack, in order.
            backlog = [value for value, at, when in mine if away < at < back - 1 and value not in first_pack]
            if backlog != sorted(backlog):
                failures.append(f"unit {unit}: the backlog did not arrive oldest first: {backlog[:30]}")
            live = [when - at for value, at, when in mine if at > back + 0.5]
            if live:
                note(figures, "seconds from reading to arrival beside the backlog", max(live))
                if max(live) > 5:
                    failures.append(f"unit {unit}: a live reading took {max(live):.1f} s while the backlog drained")
        halfway = {unit: sum(1 for u, _, at, _ in arrived[:len(arrived) // 2] if u == unit) for unit in range(1, DEVICES + 1)}
        share = min(halfway.values()) / max(1, max(halfway.values()))
        note(figures, "smallest to largest device's share half-way", share)
        if share < 0.4:
            failures.append(f"not fair: half-way the devices had {halfway}")
        if not doubled:
            failures += site.settle("an outage")
    return failures


def bounds(folder, chance, figures):
    """Slow answers to many devices: as many requests at once as allowed, and no more."""
    failures = []
    parallel = chance.choice([1, 2, 3, 5])
    with Simulator(folder, fleet(12)) as platform, FaultyRelay(platform.port) as relay:
        with Site(folder, platform, devices=12, interval_ms=100, max_age="100ms", things=f"parallel: {parallel}",
                  url=f"https://127.0.0.1:{relay.port}{PATH}") as site:
            platform.behave(kind="accept", delay_ms=100, count=0)
            site.start()
            most, until = 0, time.monotonic() + 2

            def look():
                nonlocal most
                most = max(most, len(relay.sockets) // 2)
                return time.monotonic() > until

            wait_until(look, "some time has passed")
            if most != parallel:
                failures.append(f"{most} connections at once with things.parallel {parallel}")
            if platform.stats()["overlapping_requests"]:
                failures.append("requests of one device overlapped")
            note(figures, "most requests at once beyond things.parallel", most - parallel)
            platform.control("DELETE", "/behaviour")
            failures += site.settle("slow answers")
    return failures


def quota(folder, chance, figures):
    """min_interval: few posts, large packs, nothing left behind."""
    failures = []
    with Simulator(folder, fleet(2)) as platform:
        with Site(folder, platform, devices=2, interval_ms=20, max_age="100ms", batch="max_records: 5",
                  things="min_interval: 1500ms") as site:
            site.start()
            wait_until(lambda: len({when for *_, when in accepted(platform)}) >= 6, "some posts", 30)
            for unit in (1, 2):
                moments = sorted({when for u, _, _, when in accepted(platform) if u == unit})
                gaps = [later - earlier for earlier, later in zip(moments, moments[1:])]
                note(figures, "seconds between posts with min_interval 1.5 s", min(gaps))
                if min(gaps) < 1.4:
                    failures.append(f"unit {unit}: two posts within {min(gaps):.2f} s")
            note(figures, "records of the largest pack with max_records 5", platform.stats()["most_readings"])
            if platform.stats()["most_readings"] < 30:
                failures.append(f"packs did not grow: {platform.stats()['most_readings']} readings at most")
            failures += site.settle("min_interval")
    return failures


def link(folder, chance, figures):
    """The site's address goes and comes; with the default waits of up to a minute the first pack comes at once all the same."""
    failures = []
    with Network() as network, Simulator(folder, fleet(2), ["--address", "0.0.0.0", "--host", WORLD]) as platform:
        with network.site():
            site = Site(folder, platform, devices=2, interval_ms=200, url=f"https://{WORLD}:{platform.port}{PATH}",
                        connect_timeout="3s", timeout="5s", retry="{initial: 20s, max: 60s}").start()
        with site:
            failures += site.settle("the start")
            with network.site():
                ip("addr", "del", f"{SITE}/24", "dev", "trunk")
            served = len(site.plc.reads)
            wait_until(lambda: "retry" in states(site) or "uplink" in states(site), "the gateway sees that the link is gone", 30)
            wait_until(lambda: len(site.plc.reads) > served + 20, "polling goes on")
            before = len(accepted(platform))
            with network.site():
                ip("addr", "add", f"{SITE}/24", "dev", "trunk")
            begin = time.monotonic()
            wait_until(lambda: len(accepted(platform)) > before, "a pack has come", 30)
            waited = time.monotonic() - begin
            note(figures, "seconds from a link that comes up to the first pack", waited)
            if waited > 3:
                failures.append(f"the first pack came {waited:.1f} s after the link")
            failures += site.settle("a link that was gone")
    return failures


def states(site):
    return " ".join(device["state"] for device in site.status()["devices"])
