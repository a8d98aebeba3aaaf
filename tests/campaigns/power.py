# SPDX-License-Identifier: Apache-2.0
"""Power cuts of a whole machine: kernel, ext4 and gateway in a guest whose disk forgets what was not flushed.

The oracle is that of the kill campaign, outside the guest. What a cut may cost is what was taken within a commit interval
before it, and a second for the commit itself, if the emulated machine got the processor time for it: it read at four fifths of
its rate. A cut comes 0.2 to 20 s after power on, so starts and recoveries are hit too.
Sent again may be what was known to be accepted for no longer than 5/4 of the interval before a cut, with the time it had."""

import pathlib
import random
import tempfile
import time

from campaigns import kill
from campaigns.kill import SECRET, drain, judge, read_store
from campaigns.outcome import Outcome
from support import guest
from support.modbus_server import ModbusServer
from support.simulator import Simulator, numbered, wait_until
from support.volatile_disk import VolatileDisk

ROWS = "2"
TRIALS = {"ci": 0, "hand": 300}
BUG = "a disk that confirms flushes and does not do them"
NEEDS = guest.NEEDS
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
    """The guest over its many lives, and what lies outside of it."""

    def __init__(self, folder, platform, plc, fleet, keeps_promises):
        self.folder, self.platform, self.plc = folder, platform, plc
        (folder / "gateway.yaml").write_text(configuration(platform, plc, fleet))
        (folder / "secret").write_text(SECRET)
        self.initrd = guest.build_initrd(folder, {"gateway.yaml": folder / "gateway.yaml", "secret": folder / "secret",
                                                  "ca.pem": platform.ca_file})
        self.disk = VolatileDisk(folder / "disk.sock", guest.new_image(folder), keeps_promises)
        self.starts, self.cuts, self.slowest, self.unflushed = [], [], 0.0, 0

    def power_on(self):
        self.starts.append(time.monotonic())
        self.guest = guest.Guest(self.initrd, self.disk.path, self.folder / "console.log")

    def wait_until_polling(self):
        before, begin = len(self.plc.reads), time.monotonic()
        wait_until(lambda: len(self.plc.reads) > before or self.guest.process.poll() is not None, "the guest polls", READY)
        if self.guest.process.poll() is not None:
            raise AssertionError(f"the guest ended:\n{self.console()}")
        self.slowest = max(self.slowest, time.monotonic() - begin)

    def wait_for_writes(self, seconds=5):
        """Until the disk holds what is not flushed: a commit is under way. Such moments are too short to be met by chance."""
        end = time.monotonic() + seconds
        while not self.disk.pending and time.monotonic() < end:
            time.sleep(0.0002)

    def cut(self, chance):
        self.guest.cut()
        self.cuts.append(time.monotonic())
        self.unflushed += self.disk.cut(chance) > 0

    def console(self):
        return (self.folder / "console.log").read_text(errors="replace")[-4000:]


def campaign(trials, seed, say, keeps_promises=True):
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    fleet = numbered(DEVICES, SECRET)
    failures = []
    with tempfile.TemporaryDirectory(prefix="things-power-") as name, ModbusServer() as plc:
        folder = pathlib.Path(name)
        plc.count_at(0)
        with Simulator(folder, fleet, ["--host", guest.HOST]) as platform:
            machine = Machine(folder, platform, plc, fleet, keeps_promises)
            units = {device["dvnuuid"]: unit for unit, device in enumerate(fleet, 1)}
            try:
                for number in range(trials):
                    live(machine, chance)
                    if (number + 1) % 10 == 0:
                        say(f"{number + 1} cuts, {machine.unflushed} with unflushed writes, {len(plc.reads)} values served, "
                            f"slowest start {machine.slowest:.1f} s")
                machine.power_on()
                machine.wait_until_polling()
            except AssertionError as wrong:
                failures.append(f"it does not start by itself: {wrong}")
            result = drain(lambda: judge(plc.reads, read_store(platform), machine.starts, machine.cuts, units, GRACE, CLOCKS,
                                         READS),
                           240 if keeps_promises and not failures else 20)
            machine.guest.cut()
            if result.missing and keeps_promises:
                say(machine.console())
            machine.disk.__exit__()
            skew = time.time() - time.monotonic()
            failures += unexcused_repeats(list(platform.kept()), [cut + skew for cut in machine.cuts]) if keeps_promises else []
    told = kill.told(result, seed)
    figure = (f"{machine.disk.flushes} flushes, {machine.unflushed} cuts with unflushed writes; "
              f"{told.figure.replace('within a second of a kill', f'within {GRACE:g} s of a cut')}; power on to first poll at "
              f"most {machine.slowest:.1f} s")
    return Outcome(told.trials, figure, failures + told.failures)


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
    """From power on to a cut: mostly while it works, now and then while it starts."""
    machine.platform.behave(kind="down" if chance.random() < 0.5 else "up")
    machine.power_on()
    if chance.random() < 0.2:
        time.sleep(chance.uniform(0.2, 4))
    else:
        machine.wait_until_polling()
        time.sleep(chance.uniform(0.2, chance.choice([2, 6, 20])))
        machine.platform.behave(kind="up")
        time.sleep(chance.uniform(0, 1))
        if chance.random() < 0.8:
            machine.wait_for_writes()
            time.sleep(chance.choice([0, chance.uniform(0, 0.05)]))
    machine.cut(chance)
    machine.platform.behave(kind="up")
