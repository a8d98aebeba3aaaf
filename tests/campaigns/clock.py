# SPDX-License-Identifier: Apache-2.0
"""Machines without a clock, clocks that step, and certificates that are wrong only because the clock is.

A shim gives the gateway a system clock and a synchronisation state of the trial's making, a time namespace a time since
boot, a bind mount a boot id. The Modbus device and the platform live in the real time, so what each reading should carry is
known: the time at which the device was asked, by the clock that was right in the end."""

import mmap
import pathlib
import random
import struct
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import NEAR, Site, accepted, fleet, preload, send
from support.network import with_file
from support.simulator import Simulator, wait_until

ROWS = "10"
TRIALS = {"ci": 3, "hand": 85}
BUG = "a clock that says it is synchronised and is not"
HOUR, DAY, YEAR = 3600.0, 86400.0, 365.25 * 86400
INTERVAL = 0.2
STEPS = [sign * size for size in (1, 10, 60, HOUR, DAY, YEAR, 10 * YEAR) for sign in (1, -1)]


class FakeClock:
    """What the gateway takes for the system clock: the real one plus `offset` seconds."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.path.write_bytes(bytes(16))
        self.file = open(self.path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), 16)
        self.set(0, True)
        self.environment = preload("fake_clock", FAKE_CLOCK=str(self.path))

    def set(self, offset, is_synchronised):
        self.offset = offset
        self.memory[:] = struct.pack("qq", round(offset * 1000), is_synchronised)

    def set_1970(self, is_synchronised=False):
        self.set(60 - time.time(), is_synchronised)


class Trial:
    """A site with a clock of its own, and runs of the gateway in one boot after another."""

    def __init__(self, folder, policy="send_estimate", require_sync="true", options=()):
        self.folder = pathlib.Path(folder)
        self.clock = FakeClock(self.folder)
        self.boot_id = self.folder / "boot_id"
        # Times far from the real ones are refused by nobody here: the judge knows better.
        self.platform = Simulator(self.folder, fleet(2), ["--oldest", "0", "--ahead", "1e10", *options])
        self.site = Site(self.folder, self.platform, devices=2, interval_ms=round(INTERVAL * 1000),
                         environment=self.clock.environment, time=f"require_sync: {require_sync}, unsynced: {policy}")
        self.failures = []
        self.boot(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.site.__exit__()
        self.platform.stop()

    def boot(self, number, uptime=None):
        """From the next start on it is another boot, so many seconds old."""
        self.boot_id.write_text(f"{number:08d}-0000-4000-8000-000000000000\n")
        clocks = []
        if uptime is not None:
            clocks = [f"{name}={round(uptime - time.clock_gettime(which))}"
                      for name, which in (("--boottime", time.CLOCK_BOOTTIME), ("--monotonic", time.CLOCK_MONOTONIC))]
            clocks = ["unshare", "--time", *clocks]
        self.site.gateway.wrapper = with_file(self.boot_id, "/proc/sys/kernel/random/boot_id", clocks)

    def run(self, readings=10):
        """Reads so many values a device; the reads of this run must be evenly spaced."""
        if not self.site.gateway.process or self.site.gateway.process.poll() is not None:
            self.site.start()
            self.since = time.monotonic()
        before = len(self.site.plc.reads)
        wait_until(lambda: len(self.site.plc.reads) >= before + 2 * readings, "the gateway reads", 30)
        gap = self.site.widest_gap(self.since)
        if gap > 5 * INTERVAL:
            self.failures.append(f"between two reads of a device {gap:.2f} s passed, its interval is {INTERVAL} s")

    def arrived(self):
        return {(unit, value) for unit, value, *_ in accepted(self.platform)}

    def settle(self, what, **more):
        self.failures += self.site.settle(what, **more)
        self.failures += self.in_order(what)

    def in_order(self, what):
        """No two readings of a point at one time."""
        seen, failures = {}, []
        for unit, value, at, _ in accepted(self.platform):
            if seen.setdefault((unit, at), value) != value:
                failures.append(f"{what}: unit {unit} has the values {seen[unit, at]} and {value} at {at}")
        return failures[:5]

    def rising(self, what, reads):
        """The times of these reads, which no step lies between, rise with their values."""
        times = {(unit, value): at for unit, value, at, _ in accepted(self.platform)}
        for unit in (1, 2):
            stamps = [times[key] for key in sorted(reads) if key[0] == unit and key in times]
            if any(later <= earlier for earlier, later in zip(stamps, stamps[1:])):
                self.failures.append(f"{what}: the times of unit {unit} do not rise")


def late_clock(chance, make, restart=False, start=None):
    """No clock at first, readings are kept; then it is right, and all get their time."""
    with make() as trial:
        trial.clock.set_1970() if start is None else trial.clock.set(start, False)
        trial.run()
        if restart:
            trial.site.gateway.kill() if chance.random() < 0.5 else trial.site.gateway.stop()
            kept = trial.site.served()
            trial.run()
        if trial.arrived():
            trial.failures.append("readings were sent while the clock was not right")
        # A kill may cost what the last second took.
        lost = {key for key, read in (kept if restart else {}).items() if read.taken > max(r.taken for r in kept.values()) - 1}
        trial.clock.set(0, True)
        trial.run(3)
        trial.settle("a late clock", except_=lost)
        trial.rising("a late clock", trial.site.served())
        return trial.failures


def trusted_always(chance, make):
    """require_sync: false believes any clock above the floor, and none below it."""
    with make(require_sync="false") as trial:
        trial.clock.set_1970()
        trial.run(5)
        if trial.arrived():
            trial.failures.append("readings were sent with times of 1970")
        trial.clock.set(0, False)
        trial.settle("a clock that is plausible")
        trial.run(5)
        trial.settle("require_sync: false")
        return trial.failures


def never_synchronised(chance, make):
    """With require_sync nothing leaves until the clock is synchronised, however plausible it is."""
    with make() as trial:
        trial.clock.set(chance.choice([-HOUR, 5, 20 * YEAR]), False)
        trial.run(12)
        if trial.arrived():
            trial.failures.append("readings were sent with a clock that was not synchronised")
        trial.clock.set(0, True)
        trial.settle("require_sync: true")
        return trial.failures


def steps(chance, make, sizes=None):
    """A synchronised clock steps, some times over; readings carry the time of the clock at their moment."""
    with make() as trial:
        trial.run(5)
        changes = [(0.0, 0.0)]  # since when which offset counts
        for size in sizes or chance.sample(STEPS, 3):
            trial.settle("before a step", wall=lambda read: walls(read, changes))
            # Far off, certificates are not valid: what was read waits until the clock is near again.
            trial.clock.set(trial.clock.offset + size, True)
            changes.append((time.monotonic(), trial.clock.offset))
            trial.run(8)
        trial.clock.set(0, True)
        changes.append((time.monotonic(), 0.0))
        trial.run(5)
        trial.settle("steps", wall=lambda read: walls(read, changes))
        return trial.failures


def walls(read, changes):
    """The offsets that count for a read: the gateway looks at its clock once a second, and does not believe one from before
    it was built."""
    floor = 1767225600
    known, since = [0.0], 0.0
    for begin, offset in changes:
        if begin > read.served + 0.1:
            break
        if read.wall + offset >= floor:
            known = (known if read.served - begin < 2 else []) + [offset]
    return [read.wall + offset for offset in known]


def drift(chance, make):
    """NTP slews: the clock creeps away by half a second and comes back."""
    with make() as trial:
        trial.run(3)
        for number in range(40):
            trial.clock.set(0.0125 * number, True)
            time.sleep(0.05)
        trial.clock.set(0, True)
        trial.run(3)
        trial.settle("a drift")
        trial.rising("a drift", trial.site.served())
        return trial.failures


def boot_without_clock(chance, make, policy="send_estimate"):
    """A boot that never got a clock, between two that had one."""
    with make(policy=policy) as trial:
        begin = time.time()
        trial.run(5)
        trial.settle("the first boot")
        trial.site.gateway.stop()
        saved, first = time.time(), set(trial.site.served())
        trial.clock.set_1970()
        trial.boot(2, uptime=10)
        trial.run(8)
        trial.site.gateway.stop()
        blind = {key for key in trial.site.served() if key not in first}
        trial.clock.set(0, True)
        trial.boot(3, uptime=12)
        trial.run(5)

        def wall(read):
            return [read.wall] if (read.unit, read.value) not in blind else list(range(int(begin), int(time.time()) + 20, 2))

        trial.settle(policy, wall=wall, except_=frozenset() if policy == "send_estimate" else blind)
        queue = trial.site.status()["queue"]
        if policy == "drop" and (trial.arrived() & blind or not len(blind) <= queue["dropped"]["unsynced"] <= len(blind) + 4):
            trial.failures.append(f"drop: {len(blind)} readings without a time, {queue['dropped']['unsynced']} counted as dropped, "
                                  f"{len(trial.arrived() & blind)} arrived")
        if policy == "hold" and (trial.arrived() & blind or queue["queued"] < len(blind)):
            trial.failures.append(f"hold: {len(blind)} readings without a time, {queue['queued']} are queued, "
                                  f"{len(trial.arrived() & blind)} arrived")
        if policy == "send_estimate" and not blind <= trial.arrived():
            trial.failures.append(f"send_estimate: {len(blind - trial.arrived())} of {len(blind)} did not arrive")
        return trial.failures


def wrong_year(chance, make):
    """A clock that goes to 1970 in full run: certificates are not valid, the gateway says whose fault that is and keeps its
    own time; a platform whose certificate is not valid is told apart."""
    with make() as trial:
        trial.run(5)
        trial.settle("the right year")
        trial.site.gateway.stop()  # a TLS session that is only resumed is not verified again
        trial.clock.set_1970(is_synchronised=True)
        trial.site.start()
        words = wait_until(lambda: refusal(trial.site), "the gateway says what is wrong", 20)
        if "clock is wrong" not in words:
            trial.failures.append(f"at 1970 it says \"{words}\"")
        trial.site.gateway.stop()
        words = trial.site.gateway.run("send", "d1").stderr
        if "clock is wrong" not in words:
            trial.failures.append(f"at 1970 `send` says \"{words}\"")
        trial.clock.set(0, True)
        trial.run(5)
        trial.settle("1970 and back")
        failures = trial.failures
    with make(options=["--certificate", "not-yet-valid"]) as trial:
        trial.site.start()
        words = wait_until(lambda: refusal(trial.site), "the gateway says what is wrong", 20)
        if "clock is wrong" in words or "not valid yet" not in words:
            trial.failures.append(f"of a certificate that is not valid yet it says \"{words}\"")
        return failures + trial.failures


def refusal(site):
    answer = send(site)
    return None if answer["accepted"] else answer["answer"]


def long_uptime(chance, make, bits=32):
    """The milliseconds since boot pass 2^31 or 2^32, without a clock and then with one."""
    with make() as trial:
        trial.boot(1, uptime=2 ** bits / 1000 - 3)
        trial.clock.set_1970()
        trial.run(12)
        trial.clock.set(0, True)
        trial.run(12)
        trial.settle(f"2^{bits} ms")
        trial.rising(f"2^{bits} ms", trial.site.served())
        return trial.failures


SCENARIOS = {
    "no clock at first": late_clock,
    "no clock, restarted before it came": lambda chance, make: late_clock(chance, make, restart=True),
    "the time of three days ago at first": lambda chance, make: late_clock(chance, make, start=-3 * DAY),
    "20 years ahead at first": lambda chance, make: late_clock(chance, make, start=20 * YEAR),
    "never synchronised": never_synchronised,
    "require_sync: false": trusted_always,
    "steps": steps,
    "1 s forward and back": lambda chance, make: steps(chance, make, [1, -1, 1.5, -1.5]),
    "10 years": lambda chance, make: steps(chance, make, [10 * YEAR, -20 * YEAR, 10 * YEAR]),
    "past 2038": lambda chance, make: steps(chance, make, [20 * YEAR]),
    "drift": drift,
    "a boot without a clock, estimated": boot_without_clock,
    "a boot without a clock, dropped": lambda chance, make: boot_without_clock(chance, make, "drop"),
    "a boot without a clock, held": lambda chance, make: boot_without_clock(chance, make, "hold"),
    "1970 and TLS": wrong_year,
    "2^31 ms": lambda chance, make: long_uptime(chance, make, 31),
    "2^32 ms": long_uptime,
}


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    names = [name for _ in range(-(-trials // len(SCENARIOS))) for name in chance.sample(list(SCENARIOS), len(SCENARIOS))][:trials]
    failures = []
    for number, name in enumerate(names, 1):
        with tempfile.TemporaryDirectory(prefix="things-clock-") as folder:
            failures += [f"{name}: {failure}" for failure in SCENARIOS[name](chance, lambda **more: Trial(folder_in(folder), **more))]
        if number % len(SCENARIOS) == 0:
            say(f"{number} trials, {len(failures)} failures")
    return Outcome(trials, f"{len(set(names))} of {len(SCENARIOS)} scenarios, stamps within {NEAR:g} s of the exchange, no gap in polling above "
                   f"{5 * INTERVAL:g} s, seed {seed}", failures)


def folder_in(folder):
    """A new one for each site of a trial."""
    return tempfile.mkdtemp(dir=folder)


def bite(seed, say):
    with tempfile.TemporaryDirectory(prefix="things-clock-") as folder, Trial(folder) as trial:
        trial.clock.set(-HOUR, True)
        trial.run(8)
        trial.clock.set(0, True)
        trial.run(3)
        trial.settle("a lying clock")
        return Outcome(1, "", trial.failures)
