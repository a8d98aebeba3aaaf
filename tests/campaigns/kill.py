# SPDX-License-Identifier: Apache-2.0
"""kill -9 at random moments under load.

The oracle lies outside the gateway: a Modbus device that answers every read of
a counter with a value of its own, and the platform's file of what it accepted. A value was taken at the latest when the
gateway asked the device for the next thing. Taken more than a second before a kill, it must be at the platform in the end;
and nothing that the device never said may be there."""

import bisect
import dataclasses
import pathlib
import random
import tempfile
import time

from campaigns.outcome import Outcome
from support.gateway import Gateway, settings
from support.modbus_server import ModbusServer
from support.simulator import Simulator, numbered

ROWS = "3"
TRIALS = {"ci": 10, "hand": 500}
BUG = "the queue's files removed at each kill"
GRACE = 1.0  # seconds: what a kill may cost
TIMEOUT = 40  # of the gateway for an answer; far above what a busy machine delays
GIVES_UP = TIMEOUT / 4  # at a unit's first contact it waits only so long before it asks the next, and drops a late answer
CLOCKS = 5  # seconds between reading and stamp on a busy machine
SECRET = "abcdefghijklmnopqrstuvwxyzABCD"


@dataclasses.dataclass
class Result:
    kills: int = 0
    served: int = 0     # values the device gave out
    required: int = 0   # of those, more than a second old at every kill
    delivered: int = 0  # distinct values at the platform
    repeats: int = 0    # values that arrived more than once
    lost_in_grace: int = 0
    unclear: int = 0    # perhaps given up on by the gateway before the answer came, or it had no processor time
    missing: list = dataclasses.field(default_factory=list)  # (unit, value, what is known of it)
    wrong: list = dataclasses.field(default_factory=list)    # at the platform, but never served, or at another time
    slowest_start: float = 0.0


def run(trials, seed, say):
    return told(run_campaign(trials, seed=seed, say=say), seed)


def bite(seed, say):
    return told(run_campaign(3, seed=seed, sabotage=True, say=say), seed)


def told(result, seed):
    figure = (f"{result.served} values served, {result.required} of them due, {result.delivered} delivered, {result.repeats} "
              f"repeated, {result.lost_in_grace} lost within a second of a kill, {result.unclear} unclear, slowest start "
              f"{result.slowest_start:.2f} s, seed {seed}")
    failures = [f"{what}: unit {unit} value {value}: {why}" for what, found in (("missing", result.missing), ("wrong", result.wrong))
                for unit, value, why in found]
    return Outcome(result.kills if result.required else 0, figure, failures)


def configuration(folder, platform, plc, devices, interval_ms):
    text = settings(folder, platform, max_age="300ms", commit_interval="2s")
    text += f"sources:\n  plc: {{plugin: modbus, host: 127.0.0.1, tcp_port: {plc.port}, timeout: {TIMEOUT}s}}\ndevices:\n"
    for unit, device in enumerate(devices, 1):
        text += (f"  - {{name: d{unit}, dvnuuid: {device['dvnuuid']}, secret: {{file: secret}}, source: plc, "
                 f"unit_id: {unit}, interval: {interval_ms}ms, points: [{{name: counter, holding: 0, type: uint32}}]}}\n")
    return text


def run_campaign(times=200, devices=20, interval_ms=100, seed=None, sabotage=False, say=lambda text: None):
    """Kills so many times. With `sabotage` the queue's files are removed after each kill: the oracle must notice."""
    chance = random.Random(seed)
    fleet = numbered(devices, SECRET)
    with tempfile.TemporaryDirectory(prefix="things-kill-") as name, ModbusServer() as plc:
        folder = pathlib.Path(name)
        plc.count_at(0)
        secret = folder / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        with Simulator(folder, fleet) as platform:
            yaml = configuration(folder, platform, plc, fleet, interval_ms)
            with Gateway(folder, yaml, start=False) as gateway:
                starts, kills, result = [], [], Result()
                units = {d["dvnuuid"]: unit for unit, d in enumerate(fleet, 1)}
                for number in range(times):
                    begin = time.monotonic()
                    starts.append(begin)
                    gateway.start()
                    result.slowest_start = max(result.slowest_start, time.monotonic() - begin)
                    # Half of the time the platform is away for a while, so that the queue is what is hit.
                    if chance.random() < 0.5 or sabotage:
                        platform.behave(kind="down")
                    time.sleep(chance.uniform(0.05, 2.5) if not sabotage else 2.0)
                    gateway.kill()
                    kills.append(time.monotonic())
                    platform.behave(kind="up")
                    if sabotage:
                        remove_queue(folder)
                    if (number + 1) % 20 == 0:
                        say(f"{number + 1} kills, {len(plc.reads)} values served, slowest start {result.slowest_start:.2f} s")
                gateway.start()
                slowest = result.slowest_start
                result = drain(lambda: judge(plc.reads, read_store(platform), starts, kills, units), 5 if sabotage else 120)
                result.slowest_start = slowest
                gateway.stop()
                if result.missing and not sabotage:
                    say(hints(gateway.log()))
            return result


def remove_queue(folder):
    import shutil
    for path in folder.glob("queue.db*"):
        path.unlink()
    shutil.rmtree(folder / "hot", ignore_errors=True)
    (folder / "hot").unlink(missing_ok=True)


def read_store(platform):
    """(device, value, time) of every accepted reading, from the platform's file."""
    return [(device, int(float(value)), time_) for _, device, _, time_, value in platform.kept()]


def drain(judge_now, seconds):
    """The verdict once nothing is missing and no more old values arrive. That fresh ones arrive says nothing: they go out
    first, so on a busy machine those of before the last kill may still wait."""
    end = time.monotonic() + seconds
    result, since = judge_now(), time.monotonic()
    while time.monotonic() < end and (result.missing or time.monotonic() < since + 3):
        time.sleep(0.5)
        before, result = result, judge_now()
        if result.lost_in_grace != before.lost_in_grace:
            since = time.monotonic()  # what the last kill could have cost still arrives
    return result


def hints(log):
    """What the gateway itself said that could explain a loss."""
    words = (" lost", "damaged", "dropped", "no answer", "set aside", "alarm")
    lines = [line for line in log.splitlines() if any(word in line for word in words)]
    return "\n".join(["the gateway said:", *lines[-20:]])


def may_be_dropped(read, starts):
    """Whether the gateway may have given up on this request before the answer came: then it is not the queue's to keep.
    Counted from the earliest moment at which it can have asked, so that a server that is slow to serve shows too."""
    asked = read.asked or max((start for start in starts if start <= read.served), default=0)
    return (read.taken or read.served) - asked > GIVES_UP


def judge(reads, accepted, starts, kills, units, grace=GRACE, clocks=CLOCKS, reads_after=0):
    """What became of every value. Pure: all reads, what the platform has, when the gateway was started and killed. A value is
    due only if so many were read after it before the kill: a gateway that got no processor time has had no time."""
    result = Result()
    arrived = {}
    for device, value, time_ in accepted:
        arrived.setdefault((units[device], value), []).append(time_)
    reads = list(reads)
    served = {(read.unit, read.value): read for read in reads}
    result.kills = len(kills)
    result.served = len(served)
    result.delivered = len(arrived)
    result.repeats = sum(len(times) - 1 for times in arrived.values())
    last_kill = kills[-1]
    moments = sorted(read.served for read in reads)
    for key, read in served.items():
        if read.served > last_kill:
            continue
        if may_be_dropped(read, starts):
            result.unclear += 1
            continue
        # The gateway that took it is the one that lived when it was served: its end is the kill that counts. The server
        # may see the next request only after that kill; then the value was just being taken, not early in the next life.
        kill = min(kill for kill in kills if kill >= read.served)
        before = kill - (read.taken or kill)
        if before <= grace:
            result.lost_in_grace += key not in arrived
            continue
        if bisect.bisect_left(moments, kill) - bisect.bisect_right(moments, read.served) < reads_after:
            result.unclear += 1
            continue
        result.required += 1
        if key not in arrived:
            later = [(other.unit, other.value) in arrived for other in reads if read.served < other.served < kill]
            result.missing.append((*key, f"{before:.2f} s before kill {kills.index(kill)}; "
                                   f"of the {len(later)} read after it before that kill {sum(later)} arrived"))
    for key, times in arrived.items():
        if key not in served:
            result.wrong.append((*key, "was never served"))
        elif max(times) - min(times) > 0.001 or abs(times[0] - served[key].wall) > clocks:
            result.wrong.append((*key, f"arrived with times {times}, was served at {served[key].wall}"))
    return result
