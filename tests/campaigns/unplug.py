# SPDX-License-Identifier: Apache-2.0
"""Adapters that are pulled out and put back, under another name, without permission, or held by another program.

A socat stands for each adapter: killing it gives an I/O error and takes the port away, as pulling does. The path that the
gateway knows is a link like those in /dev/serial/by-id, and points to another port each time. Read again within two seconds
after the port is usable, no descriptor left behind, no beat missed on the line beside it."""

import fcntl
import os
import pathlib
import random
import subprocess
import tempfile
import time

from campaigns.outcome import Outcome
from support.gateway import PLUGINS, Gateway, settings
from support.modbus_site import Fleet, ModbusSite, beats, read_accepted, wrong_values
from support.simulator import BUILD, Simulator, wait_until

ROWS = "20"
TRIALS = {"ci": 4, "hand": 200}
BUG = "a port that is closed without closing its descriptor"
NEEDS = ["socat"]
BACK = 2.0       # seconds
TIMEOUT = 0.3
BEAT = 0.25
NOBODY = 65534
MOST_LINES = 10  # of one source in a minute; what flaps faster is not told of any more


class Adapter:
    """A socat between a link's port and the line; the link moves to a new one each time."""

    def __init__(self, folder, line):
        self.link, self.line, self.folder = folder / "by-id", line, folder
        self.process, self.number = None, 0
        self.seen = set()  # ports that the link has pointed to

    def plug(self):
        """The new port, which is not yet what the link points to."""
        self.number += 1
        port = self.folder / f"adapter{self.number}"
        self.process = subprocess.Popen(["socat", f"pty,raw,echo=0,link={port}", f"{self.line},raw,echo=0"],
                                        stderr=subprocess.DEVNULL)
        wait_until(port.exists, "socat has made its port")
        give(port)
        return port

    def show(self, port):
        target = os.readlink(port)
        self.seen.add(target)
        new = self.folder / "new"
        new.symlink_to(target)
        new.rename(self.link)

    def pull(self):
        self.process.kill()
        self.process.wait()
        self.link.unlink(missing_ok=True)


def run(trials, seed, say):
    return play(trials, seed, say, PLUGINS)


def bite(seed, say):
    return play(4, seed, say, BUILD / "tests/bugs/leaks-ports")


def give(path):
    """To the user that the gateway runs as: root could open any port, whatever its permissions."""
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def descriptors(pid):
    """Of the gateway and the processes of isolated plugins, as the planted one is."""
    children = [each for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()]
    return len(os.listdir(f"/proc/{pid}/fd")) + sum(map(descriptors, children))


def play(trials, seed, say, plugins):
    chance, failures, waits = random.Random(seed), [], {}
    with tempfile.TemporaryDirectory(prefix="things-unplug-") as name, ModbusSite() as site:
        folder = pathlib.Path(name)
        fleet = Fleet(folder)
        adapter = Adapter(folder, site.line("far", 115200, [1]))
        fleet.source("near", f"port: {adapter.link}, baud: 115200, timeout: {TIMEOUT * 1000:.0f}ms")
        other_port = site.line("beside", 115200, [2])
        fleet.source("beside", f"port: {other_port}, baud: 115200, timeout: {TIMEOUT * 1000:.0f}ms")
        device = fleet.device("near", 1, f"{BEAT * 1000:.0f}ms")
        beside = fleet.device("beside", 2, f"{BEAT * 1000:.0f}ms")
        adapter.show(adapter.plug())
        for path in (folder, fleet.secret, other_port, pathlib.Path(other_port).parent):
            give(path)
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        spare = []  # a port that others took meanwhile, so that the number is another one
        with Simulator(folder, fleet.platform_devices) as platform:
            with Gateway(folder, settings(folder, platform) + fleet.yaml(), plugins=plugins,
                         wrapper=as_nobody, start=False) as gateway:
                give(folder / "notify.sock")
                gateway.start()
                def first_after(moment):
                    return min((t for d, _, t, _ in read_accepted(platform) if d == device and t > moment), default=None)
                wait_until(lambda: first_after(0) and beats(read_accepted(platform), beside, 0, time.time()), "both are read")
                open_before, begin = descriptors(gateway.process.pid), time.time()
                for number in range(trials):
                    kind = chance.choice(("back", "renumbered", "denied", "busy"))
                    adapter.pull()
                    time.sleep(chance.uniform(0, 1.5))
                    if kind == "renumbered":
                        spare.append(os.openpty())
                    put_back(kind, adapter, chance)
                    usable = time.time()
                    try:
                        waits.setdefault(kind, []).append(wait_until(lambda: first_after(usable), "read again", 10) - usable)
                    except AssertionError as error:
                        failures.append(f"cycle {number}, {kind}: {error}")
                        break
                    if waits[kind][-1] > BACK:
                        failures.append(f"cycle {number}, {kind}: read again only after {waits[kind][-1]:.2f} s")
                    if (number + 1) % 20 == 0:
                        say(f"{number + 1} cycles, {descriptors(gateway.process.pid)} descriptors")
                end = time.time()
                time.sleep(2)
                left = descriptors(gateway.process.pid) - open_before
                if left > 1:  # one either way: a connection to the platform
                    failures.append(f"{left} descriptors more than at the beginning")
                read, due = beats(read_accepted(platform), beside, begin, end), (end - begin) / BEAT
                kept = read / due
                if read < 0.98 * due - 1:  # the window may cut one off at its edge
                    failures.append(f"the line beside it kept {kept:.3f} of its beat")
                failures += wrong_values(read_accepted(platform), fleet.units, 5 * TIMEOUT + 1)
                adapter.pull()
                for kind, code in (("denied", "may not be opened"), ("busy", "is in use by another program")):
                    is_told = sum("near:" in line for line in gateway.log().splitlines()) < MOST_LINES
                    if kind in waits and is_told and code not in gateway.log():
                        failures.append(f"nothing was said of {code}")
        for pair in spare:
            for descriptor in pair:
                os.close(descriptor)
    longest = {kind: f"{kind} {max(times):.2f} s" for kind, times in waits.items()}
    return Outcome(sum(map(len, waits.values())), f"read again within {', '.join(sorted(longest.values()))}; "
                   f"{len(adapter.seen)} different ports, {left:+d} descriptors, {kept:.3f} of the beat beside it, seed {seed}",
                   failures)


def put_back(kind, adapter, chance):
    """The port is there again, but for a while it may be one that cannot be opened."""
    port, lasts = adapter.plug(), chance.uniform(0.7, 1.3)
    if kind == "busy":
        with open(port, "rb+", buffering=0) as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            adapter.show(port)
            time.sleep(lasts)
    elif kind == "denied":
        mode = os.stat(port).st_mode & 0o777
        os.chmod(port, 0)
        adapter.show(port)
        time.sleep(lasts)
        os.chmod(port, mode)
    else:
        adapter.show(port)
