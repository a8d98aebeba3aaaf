# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every step between a downlink and its settled outcome.

A library loaded into the gateway ends it right before the N-th call by which it writes, syncs, sends or receives, N drawn
anew each time. Every command has a value of its own. The oracle is the device's transcript and what the platform accepted:
no value may be written twice or after its time; each command must be told of, or the readings that it came with must have
been sent again (then the gateway never had it, and the platform may hand it out again)."""

import collections
import contextlib
import pathlib
import random
import re
import shutil
import tempfile
import time

from campaigns.outcome import Outcome
from support.control import Control
from support.faulty_calls import KILL_BEFORE, NONE, READ, RECEIVE, SEND, SYNC, UNLINK, WRITE, FaultyCalls
from support.gateway import Gateway, settings
from support.modbus_server import ModbusServer
from support.simulator import Simulator, wait_until

ROWS = "24"
TRIALS = {"ci": 20, "hand": 500}
BUG = "a command that comes back from an older queue file"
DEVICE = "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40"
SECRET = "abcdefghijklmnopqrstuvwxyzABCD"
TTL = 1.0  # seconds, of the point "short"
IN_HOT_LOG = 0.25  # seconds after it was taken
LATE = 0.3  # seconds from the answer at the platform to the first byte on the bus, on a busy machine
ADDRESSES = {"level": 400, "short": 500}
SITE = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
  fake: {plugin: simulated}
devices:
  - name: boiler
    dvnuuid: DEVICE
    secret: {file: secret}
    source: plc
    interval: 1h
    points:
      - {name: beat, source: fake, interval: 100ms}
      - {name: level, holding: 400, writable: {settle: 20ms, outcome: said}}
      - {name: short, holding: 500, writable: {settle: 20ms, ttl: TTL, outcome: said}}
""".replace("DEVICE", DEVICE).replace("TTL", f"{TTL * 1000:.0f}ms")
OUTSIDE = WRITE | SYNC | UNLINK | READ | SEND | RECEIVE  # the calls by which a gateway touches what outlives it
STAGES = ("before the answer", "after the answer", "after the write", "after reading back", "after the outcome")


class Site:
    """The platform, the device, the gateway with the library in it, and what can be seen of a command from outside."""

    def __init__(self, folder):
        self.folder = folder
        secret = folder / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        self.calls = FaultyCalls(folder)
        self.plc = ModbusServer()
        self.platform = Simulator(folder, [{"dvnuuid": DEVICE, "secret": SECRET, "name": "boiler"}])
        text = settings(folder, self.platform, max_age="400ms", commit_interval="2s") + SITE.replace("PLC", str(self.plc.port))
        self.gateway = Gateway(folder, text, start=False, wrapper=self.calls.wrapper)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gateway.__exit__()
        self.platform.stop()
        self.plc.close()

    def hand_out(self, point, value, **more):
        return self.platform.downlink(DEVICE, [{"n": point, "v": value, **more}])[0]

    def handed_over(self, number):
        """The time at which the platform gave it away; None if it did not yet."""
        found = [d for d in self.platform.control("GET", "/downlinks")["handed_over"] if d["id"] == number]
        return found[0]["handed_over"] if found else None

    def is_told(self, value):
        """Whether the platform has an outcome in words for it, other than that it was seen before."""
        return any(re.search(rf"\b{value}\b", r["value"]) for r in self.platform.accepted(device=DEVICE, name="said"))

    def is_expired_told(self, since):
        return any("expired" in r["value"] for r in self.platform.accepted(device=DEVICE, name="said", **{"from": since}))

    def known(self, value):
        """The gateway's own state of it, to know when to stop waiting; None if it never had it."""
        with contextlib.closing(Control(self.folder / "control.sock")) as control:
            for command in control.ask("commands", device="boiler", most=20)["result"]:
                if command["value"] == str(value):
                    return command["state"]
        return None

    def stage(self, number, point, value):
        talk = self.plc.talk(ADDRESSES[point])
        return STAGES[sum((self.handed_over(number) is not None, f"writes {value}" in talk, f"reads {value}" in talk,
                           self.is_told(value)))]

    def was_sent_again(self, handed_over):
        """Whether each reading of the pack whose answer this was has arrived once more; the youngest may have died with
        the process before they were in the hot log."""
        readings = self.platform.accepted(device=DEVICE, name="beat")
        times = collections.Counter(r["time"] for r in readings)
        return all(times[r["time"]] > 1 for r in readings
                   if r["received"] == handed_over and r["time"] < handed_over - IN_HOT_LOG)


def run(trials, seed, say):
    seed = random.randrange(1 << 32) if seed is None else seed
    chance, stages, failures, unstored = random.Random(seed), collections.Counter(), [], 0
    with tempfile.TemporaryDirectory(prefix="things-commands-") as name, Site(pathlib.Path(name)) as site:
        site.gateway.start()
        steps = count_steps(site)
        commands = []
        for value in range(1001, 1001 + trials):
            point = "short" if chance.random() < 0.2 else "level"
            command = play(site, point, value, chance.randint(1, steps))
            stages[command.stage] += 1
            unstored += command.is_unstored
            commands.append(command)
            if command.failure:
                failures.append(f"{command.failure}: {value} at {point}, killed {command.stage}, "
                                f"step {command.step}, seed {seed}")
            if len(commands) % 50 == 0:
                say(f"{len(commands)} kills, {len(failures)} failures")
        failures += judge(site, commands)
        figure = (f"{steps} steps; killed " + ", ".join(f"{stages[stage]} {stage}" for stage in STAGES) +
                  f"; {unstored} not taken in and their readings sent again, seed {seed}")
        missed = [stage for stage in STAGES if not stages[stage]] if trials >= 100 else []
        return Outcome(trials, figure, failures + [f"no kill hit {stage}" for stage in missed])


class Command:
    def __init__(self, point, value, step):
        self.point, self.value, self.step = point, value, step
        self.handed_over = None
        self.stage = self.failure = None
        self.is_unstored = False


def count_steps(site):
    """How many counted calls there are from the downlink to its settled outcome."""
    site.calls.hit(0, "", OUTSIDE, NONE)
    site.hand_out("level", 1000)
    wait_until(lambda: site.is_told(1000), "the first command is told of")
    steps = site.calls.count
    site.calls.heal()
    return steps + 10


def play(site, point, value, step):
    """One command, one kill, one restart; returns when nothing more can come of it."""
    command = Command(point, value, step)
    site.calls.hit(step, "", OUTSIDE, KILL_BEFORE)
    number = site.hand_out(point, value)
    wait_until(lambda: site.gateway.process.poll() is not None or site.is_told(value), "it dies or tells", 60)
    site.gateway.kill()
    site.calls.heal()
    command.stage = site.stage(number, point, value)
    command.handed_over = site.handed_over(number)
    if point == "short" and command.handed_over:
        wait_until(lambda: time.time() > command.handed_over + TTL + LATE, "its time is over")
    restarted = time.time()
    site.gateway.start()
    if command.handed_over and site.known(value) is None:
        command.is_unstored = True
        try:
            wait_until(lambda: site.was_sent_again(command.handed_over), "its readings are sent again", 5)
        except AssertionError:
            command.failure = "lost, though its readings were settled"
        return command
    try:
        wait_until(lambda: site.is_told(value) or site.known(value) == "expired" and site.is_expired_told(restarted - 1), "it is told of", 30)
    except AssertionError:
        command.failure = f"never told of, the gateway says it is {site.known(value)}"
    command.handed_over = command.handed_over or site.handed_over(number)
    return command


def judge(site, commands):
    """What the device's transcript says against the gateway."""
    clocks = time.time() - time.monotonic()
    failures = []
    for command in commands:
        writes = [at + clocks for at, verb, _, _, first, values in site.plc.transcript
                  if verb == "writes" and first == ADDRESSES[command.point] and values == [command.value]]
        if len(writes) > 1:
            failures.append(f"written {len(writes)} times: {command.value}, killed {command.stage}, step {command.step}")
        late = [at - command.handed_over for at in writes] if command.point == "short" and command.handed_over else []
        if any(seconds > TTL + LATE for seconds in late):
            failures.append(f"written {late[0]:.2f} s after it was handed out: {command.value}")
    return failures


def bite(seed, say):
    """A queue from before the command was carried out is put back after it was."""
    with tempfile.TemporaryDirectory(prefix="things-commands-") as name, Site(pathlib.Path(name)) as site:
        site.gateway.start()
        command = Command("level", 1001, 0)
        number = site.hand_out("level", 1001, t=1)
        wait_until(lambda: site.handed_over(number) and site.known(1001) == "waiting", "it waits for its time")
        site.gateway.kill()
        saved = site.folder / "saved"
        saved.mkdir()
        for path in site.folder.glob("queue.db*"):
            shutil.copy(path, saved)
        shutil.copytree(site.folder / "hot", saved / "hot")
        for _ in range(2):
            site.gateway.start()
            before = len(site.plc.writes)
            try:
                wait_until(lambda: len(site.plc.writes) > before and site.known(1001) == "done", "it is carried out", 10)
            except AssertionError:
                break
            site.gateway.kill()
            for path in [*site.folder.glob("queue.db*")]:
                path.unlink()
            shutil.rmtree(site.folder / "hot")
            shutil.copytree(saved, site.folder, dirs_exist_ok=True)
        return Outcome(1, "", judge(site, [command]))
