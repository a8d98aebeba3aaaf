# SPDX-License-Identifier: Apache-2.0
"""Outages of days, with the clock compressed: a day that fits the queue, a month that overflows it many times.

A program behind the exec plugin emits the readings of all that time in seconds, each with the time at which it would have
been taken; in the middle the gateway is killed. Then the platform comes back: fresh readings must be there at once, and in
the end exactly what was not counted as dropped. Memory and files must not have grown with the outage."""

import pathlib
import tempfile
import time
import uuid

from campaigns.outcome import Outcome
from support.gateway import Gateway, free_port, settings
from support.simulator import Simulator, wait_until
from support.site import SECRET, Site

ROWS = "16"
TRIALS = {"ci": 1, "hand": 8}
KINDS = [(30, 60, 1 << 20, "drop_oldest"), (1, 10, 64 << 20, "drop_oldest"),
         (30, 60, 1 << 20, "drop_newest")]  # days, seconds between readings, queue.max_size, queue.when_full
BUG = "every hundredth reading never emitted"
DEVICE = str(uuid.UUID(int=1 + (4 << 76) + (8 << 60)))
POINTS = 5
GROWTH = 8 << 20  # bytes of memory between a tenth of the outage and its end
FRESH = 60.0  # seconds

PROGRAM = """\
import math, os, sys, time
begin, step, count, skip = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
try:
    first = int(open(sys.argv[5]).read())
except OSError:
    first = 0
start = time.monotonic()
for k in range(first, count):
    while k == count // 2 and not os.path.exists(sys.argv[5] + ".go"):
        sys.stdout.flush()
        open(sys.argv[5], "w").write(str(k))
        time.sleep(0.05)
    if not (skip and k % skip == 0):
        for point in range({points}):
            # The fraction makes it as long as real readings are.
            print('{{"point":"p%d","value":%.15g,"time":%.3f}}' % (point, k + abs(math.sin(k)) / 2, begin + k * step))
    if k % 200 == 199:
        sys.stdout.flush()
        open(sys.argv[5], "w").write(str(k + 1))  # where to go on after a kill; a few may come twice
        time.sleep(max(0, start + (k - first) * {points} / 12000 - time.monotonic()))  # 12,000 a second
sys.stdout.flush()
open(sys.argv[5], "w").write(str(count))
k = count
while True:
    for point in range({points}):
        print('{{"point":"p%d","value":%d}}' % (point, k), flush=True)
    k += 1
    time.sleep(0.5)
"""


def run(trials, seed, say):
    failures, figures = [], []
    for number in range(trials):
        told = outage(*KINDS[number % len(KINDS)], say)
        failures += [f"{KINDS[number % len(KINDS)]}: {text}" for text in told.failures]
        figures.append(told.figure)
    return Outcome(trials, "; ".join(figures[:4]), failures)


def bite(seed, say):
    return outage(0.2, 10, 64 << 20, "drop_oldest", say, skip=100)


def outage(days, step, limit, policy, say, skip=0):
    count, failures = int(days * 86400 / step), []
    with tempfile.TemporaryDirectory(prefix="things-outage-") as name, \
            tempfile.TemporaryDirectory(prefix="things-program-") as place:
        folder, program = pathlib.Path(name), pathlib.Path(place)  # a plugin may not see the gateway's own folder
        (program / "program.py").write_text(PROGRAM.format(points=POINTS))
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o600)
        with Simulator(folder, [{"dvnuuid": DEVICE, "secret": SECRET, "name": "d1"}]) as platform:
            port = free_port()
            begin = time.time() - days * 86400
            with Gateway(folder, configuration(folder, program, platform, port, f"{begin}, {step}, {count}, {skip}", limit, policy), start=False) as gateway:
                watch = Watch(folder, program, gateway, port)
                platform.behave(kind="down")
                gateway.start()
                watch.wait_for(0.1 * count)
                early = watch.memory()
                watch.wait_for(count // 2)
                (program / "progress.go").touch()  # it waited there, so that all it said was taken a second ago
                gateway.kill()
                gateway.start()
                watch.wait_for(count)
                # Memory of the second life only; the first tenth stands for both.
                late, size = watch.memory(), watch.file_bytes()
                up_at = time.monotonic()
                fresh_from = time.time()
                platform.behave(kind="up")
                fresh = wait_for_fresh(platform, fresh_from, FRESH + 5) - up_at
                status = watch.drained()
                failures += verdict(platform, count, status, watch, policy)
    if late - early > GROWTH:
        failures.append(f"memory grew from {early} to {late} bytes")
    if size > limit + (200 << 10):
        failures.append(f"the queue's files have {size} bytes of {limit}")
    if fresh > FRESH:
        failures.append(f"fresh readings after {fresh:.0f} s")
    dropped = sum(status["queue"]["dropped"].values())
    figure = (f"{days} days, {policy}, {count * POINTS} readings: {dropped} dropped and counted, {size >> 10} KiB on flash, memory "
              f"{early >> 20} to {late >> 20} MiB, fresh readings after {fresh:.1f} s, drained in {time.monotonic() - up_at:.1f} s")
    say(figure)
    return Outcome(1, figure, failures)


def configuration(folder, program, platform, port, arguments, limit, policy):
    text = settings(folder, platform, web_port=port, max_age="1s", commit_interval="500ms", queue=f"max_size: {limit}B, when_full: {policy}")
    # Silent ones make the plugin's allowance large enough for the haste.
    points = ", ".join(f"{{name: p{point}, interval: 10ms}}" for point in range(POINTS + 40))
    return text + (f"sources:\n  days: {{plugin: exec, command: [/usr/bin/python3, {program}/program.py, "
                   f"{', '.join(repr(text) for text in arguments.split(', '))}, {program}/progress]}}\n"
                   f"devices:\n  - {{name: d1, dvnuuid: {DEVICE}, secret: {{file: secret}}, source: days, points: [{points}]}}\n")


class Watch:
    """What can be seen of the gateway meanwhile."""
    status = Site.status
    imbalance = Site.imbalance

    def __init__(self, folder, program, gateway, port):
        self.folder, self.program, self.gateway, self.web_port = folder, program, gateway, port

    def wait_for(self, count):
        def emitted():
            try:
                return int((self.program / "progress").read_text() or 0) >= count
            except OSError:
                return False
        wait_until(emitted, f"{count} readings of each point are emitted", 600, step=0.2)
        time.sleep(1.5)  # and stored

    def memory(self):
        for line in open(f"/proc/{self.gateway.process.pid}/status"):
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) << 10
        raise AssertionError("no RssAnon")

    def file_bytes(self):
        return sum((self.folder / name).stat().st_size for name in ("queue.db", "queue.db-wal") if (self.folder / name).exists())

    def drained(self):
        wait_until(lambda: self.status()["queue"]["queued"] < 100, "the queue is drained", 300, step=0.2)
        return self.status()


def accepted(platform):
    """(point, value, time, received) of all."""
    with open(platform.store) as lines:
        for line in lines:
            if line.endswith("\n"):
                _, received, _, name, time_, _, value = line.rstrip("\n").split("\t")
                yield name, int(float(value)), float(time_), float(received)


def wait_for_fresh(platform, since, seconds):
    """Monotonic time at which a reading taken after `since` was there."""
    wait_until(lambda: (platform.newest() or {"time": 0})["time"] >= since or any(t >= since for _, _, t, _ in accepted(platform)),
               "a fresh reading is there", seconds, step=0.2)
    return time.monotonic()


def verdict(platform, count, status, watch, policy):
    failures = []
    there = {(name, value) for name, value, _, _ in accepted(platform) if value < count}
    missing = count * POINTS - len(there)
    dropped = sum(status["queue"]["dropped"].values())
    # A reading that the program emitted again after the kill may have been dropped once and delivered once.
    if missing > dropped:
        failures.append(f"{missing} readings are missing, {dropped} are counted as dropped")
    if dropped and missing == 0:
        failures.append(f"{dropped} dropped, but nothing is missing")
    if watch.imbalance():
        failures.append(f"the books are off by {watch.imbalance()}")
    newest_kept = [("p0", count - 1 - k) for k in range(100)]
    if policy == "drop_oldest" and any(key not in there for key in newest_kept):
        failures.append("the newest readings of the outage are not there")
    return failures
