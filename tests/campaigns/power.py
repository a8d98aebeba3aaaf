# SPDX-License-Identifier: Apache-2.0
"""Power cuts of a whole machine: kernel, ext4 and gateway in a guest whose disk forgets what was not flushed.

The oracle is that of the kill campaign, outside the guest. What a cut may cost is what was taken within a commit interval
before it, and a second for the commit itself, if the emulated machine got the processor time for it: it read at four fifths of
its rate. A cut comes 0.2 to 20 s after power on, mostly after few and where a write is not flushed yet, so starts and
recoveries are hit too. One start in 20 is a whole boot; the others wake a machine that was frozen before it saw its disk,
which recovers all the same.
Sent again may be what was known to be accepted for no longer than 5/4 of the interval before a cut, with the time it had."""

import dataclasses
import pathlib
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from campaigns import kill
from campaigns.kill import SECRET, drain, judge, read_store
from campaigns.outcome import Outcome
from support import guest
from support.modbus_server import ModbusServer
from support.simulator import Simulator, numbered, wait_until
from support.volatile_disk import VolatileDisk

ROWS = "2"
TRIALS = {"ci": 0, "hand": 2000}
BUG = "a disk that confirms flushes and does not do them"
NEEDS = guest.NEEDS
GUESTS = 2  # side by side
DEVICES = 8
COMMIT = 1.0  # seconds between commits
GRACE = COMMIT + 1.5  # and what a commit may take in a machine emulated on a busy one
READS = int(GRACE * DEVICES / 0.2 * 0.8)  # of those that a machine with a processor of its own does in that time
REPEATS = COMMIT * 5 / 4 + 1 + 1.5  # that wait to be told to flash, the queue's look at its clock, and such a commit
CLOCKS = 60  # seconds by which an emulated machine's own clock may be off
READY = 240  # seconds for boot, recovery and the first poll

YAML = """\
things: {{url: "https://{host}:{port}{path}", ca_file: ca.pem, connect_timeout: 5s, timeout: 10s, retry: {{initial: 200ms, max: 1s}}}}
batch: {{max_age: 300ms}}
queue: {{path: {data}/queue.db, hot_path: /run/hot, commit_interval: {commit}ms}}
time: {{require_sync: false}}
web: null
control: {{socket: /run/control.sock}}
log: {{level: info}}
sources:
  plc: {{plugin: modbus, host: {host}, tcp_port: {plc}, timeout: {timeout}s}}
devices:
"""


def run(trials, seed, say):
    return campaign(trials, seed, say)


def bite(seed, say):
    return campaign(12, seed, say, keeps_promises=False)


def configuration(platform, plc, fleet):
    text = YAML.format(host=guest.HOST, port=platform.port, path=platform.url.split(str(platform.port))[1], data=guest.DATA,
                       commit=int(COMMIT * 1000), plc=plc.port, timeout=kill.TIMEOUT)
    for unit, device in enumerate(fleet, 1):
        text += (f"  - {{name: d{unit}, dvnuuid: {device['dvnuuid']}, secret: {{file: secret}}, source: plc, "
                 f"unit_id: {unit}, interval: 200ms, points: [{{name: counter, holding: 0, type: uint32}}]}}\n")
    return text


class Machine:
    """A guest over its many lives, and what lies outside of it: its disk, its device, its platform."""

    def __init__(self, folder, keeps_promises):
        self.folder = folder
        folder.mkdir()
        self.fleet = numbered(DEVICES, SECRET)
        self.plc = ModbusServer()
        self.plc.count_at(0)
        self.platform = Simulator(folder, self.fleet, ["--host", guest.HOST])
        (folder / "gateway.yaml").write_text(configuration(self.platform, self.plc, self.fleet))
        (folder / "secret").write_text(SECRET)
        self.initrd = guest.build_initrd(folder, {"gateway.yaml": folder / "gateway.yaml", "secret": folder / "secret",
                                                  "ca.pem": self.platform.ca_file})
        self.disk = VolatileDisk(folder / "disk.sock", guest.new_image(folder), keeps_promises)
        self.frozen = guest.freeze(folder, self.initrd, self.disk.path)
        self.guest = None
        self.starts, self.cuts, self.slowest, self.boots, self.unflushed = [], [], 0.0, 0, 0

    def close(self):
        if self.guest:
            self.guest.cut()
        self.disk.__exit__()
        self.platform.stop()
        self.plc.close()

    def power_on(self, boots):
        self.starts.append(time.monotonic())
        self.boots += boots
        self.guest = guest.Guest(self.initrd, self.disk.path, self.folder / "console.log", None if boots else self.frozen)

    def wait_until_polling(self):
        before, begin = len(self.plc.reads), time.monotonic()
        wait_until(lambda: len(self.plc.reads) > before or self.guest.process.poll() is not None, "the guest polls", READY)
        if self.guest.process.poll() is not None:
            raise AssertionError(f"the guest ended:\n{self.console()}")
        self.slowest = max(self.slowest, time.monotonic() - begin)

    def wait_for_write(self, number):
        """Until so many writes and flushes more, and one that is not flushed: moments too short to be met by chance."""
        self.disk.stop_after(number)
        self.disk.stopped.wait(4)

    def cut(self, chance):
        self.guest.cut()
        self.cuts.append(time.monotonic())
        self.unflushed += self.disk.cut(chance) > 0

    def judge(self):
        units = {device["dvnuuid"]: unit for unit, device in enumerate(self.fleet, 1)}
        return judge(self.plc.reads, read_store(self.platform), self.starts, self.cuts, units, GRACE, CLOCKS, READS)

    def console(self):
        return (self.folder / "console.log").read_text(errors="replace")[-4000:]


def campaign(trials, seed, say, keeps_promises=True):
    """The trials shared out over machines side by side, each with a disk, a device and a platform of its own."""
    seed = seed or random.randrange(1 << 31)
    with tempfile.TemporaryDirectory(prefix="things-power-") as name, ThreadPoolExecutor(GUESTS) as pool:
        machines = [Machine(pathlib.Path(name) / str(number), keeps_promises) for number in range(GUESTS)]
        try:
            ends = [pool.submit(lives, machine, trials // GUESTS + (number < trials % GUESTS), f"{seed} {number}", say)
                    for number, machine in enumerate(machines)]
            results, failures = zip(*(end.result() for end in ends))
        finally:
            for machine in machines:
                machine.close()
    told = kill.told(merged(results, max(machine.slowest for machine in machines)), seed)
    flushes, unflushed, boots = (sum(numbers) for numbers in
                                 zip(*((machine.disk.flushes, machine.unflushed, machine.boots) for machine in machines)))
    figure = (f"{flushes} flushes, {unflushed} cuts with unflushed writes; "
              f"{told.figure.replace('within a second of a kill', f'within {GRACE:g} s of a cut')}; {boots} whole boots")
    return Outcome(told.trials, figure, sum(failures, []) + told.failures)


def merged(results, slowest_start):
    """One result of several machines'."""
    whole = kill.Result(slowest_start=slowest_start)
    for result in results:
        for field in dataclasses.fields(result):
            if field.name != "slowest_start":
                setattr(whole, field.name, getattr(whole, field.name) + getattr(result, field.name))
    return whole


def lives(machine, cuts, seed, say):
    """So many lives of one machine, and a last one in which all must arrive: (Result, further failures)."""
    chance, failures = random.Random(seed), []
    keeps_promises = machine.disk.keeps_promises
    try:
        for number in range(cuts):
            live(machine, chance)
            if (number + 1) % 10 == 0:
                say(f"{number + 1} cuts, {machine.unflushed} with unflushed writes, {len(machine.plc.reads)} values served, "
                    f"slowest start {machine.slowest:.1f} s")
        machine.platform.behave(kind="up")
        machine.power_on(boots=True)
        machine.wait_until_polling()
    except AssertionError as wrong:
        failures.append(f"it does not start by itself: {wrong}")
    result = drain(machine.judge, 240 if keeps_promises and not failures else 20)
    if result.missing and keeps_promises:
        say(machine.console())
    skew = time.time() - time.monotonic()
    if keeps_promises:
        failures += unexcused_repeats(list(machine.platform.kept()), [cut + skew for cut in machine.cuts])
    return result, failures


def unexcused_repeats(kept, cuts):
    """Readings that arrived again though the gateway had long known that they had arrived: it sends a device's next pack only
    when it has the answer to the one before, which a starved machine gets late or not at all. `kept` as of Simulator.kept(),
    `cuts` in the same time."""
    packs, first, failures = {}, {}, []
    for arrived, device, name, _, value in kept:
        packs.setdefault(device, {}).setdefault(arrived, set()).add((name, value))
    for arrived, device, name, _, value in kept:
        before = first.get((device, name, value))
        first[device, name, value] = arrived
        if before is None:
            continue
        known = next((at for at in sorted(packs[device]) if before < at < arrived), None)
        if known is None or (name, value) in packs[device][known] or any(before < cut < known for cut in cuts):
            continue
        if not any(known - 1 <= cut <= min(arrived, known + REPEATS) for cut in cuts):
            failures.append(f"{device} {name} {value} came at {before:.1f}, was known by {known:.1f}, came again at {arrived:.1f}")
    return failures


def live(machine, chance):
    """From power on to a cut: while it starts, soon after, or after it worked for a while. The platform may be away for all of
    it, so that what is queued outlives several cuts."""
    machine.platform.behave(kind="down" if chance.random() < 0.6 else "up")
    boots = chance.random() < 0.05
    machine.power_on(boots)
    if chance.random() < 0.1:
        time.sleep(chance.uniform(0.2, 4 if boots else 1.5))
    elif chance.random() < 0.1:
        machine.wait_for_write(chance.randint(1, 40))
    else:
        machine.wait_until_polling()
        time.sleep(min(20, chance.expovariate(1 / 1.5)) if chance.random() < 0.95 else chance.uniform(2, 20))
        if chance.random() < 0.3:
            machine.platform.behave(kind="up")
            time.sleep(chance.uniform(0, 1))
        if chance.random() < 0.8:
            machine.wait_for_write(chance.randint(1, 6))
    machine.cut(chance)
