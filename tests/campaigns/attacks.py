# SPDX-License-Identifier: Apache-2.0
"""A plugin that attacks the gateway in earnest, in a process of its own, beside a good source: it starves the gateway of
descriptors (prlimit), drives another source's port, leaves children behind (setsid) and fills what wakes it.

The oracle lies outside: the good source's device notes each read, each value must be at the platform, and /proc, the port's
other end and the list of processes say whether an attack came through."""

import ctypes
import os
import pathlib
import struct
import subprocess
import tempfile
import time

from campaigns.outcome import Outcome
from support.gateway import PLUGINS, Gateway, settings
from support.line import SerialLine
from support.modbus_server import ModbusServer
from support.simulator import BUILD, Simulator

ROWS = "22"
TRIALS = {"ci": 1, "hand": 20}
BUG = "the walls taken down: neither Landlock nor a filter of calls (the kernel refuses both)"
SECONDS = 30  # of a trial
BEAT = 0.5  # seconds between two reads of the good source
LEAST = 0.99  # of its beats that it must keep
GOOD = {"dvnuuid": "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40", "secret": "abcdefghijklmnopqrstuvwxyzABCD", "name": "good"}
BAD = {"dvnuuid": "0d3a5f3e-8c1b-4f60-9a77-5e2b6c9d1e02", "secret": "ZYXWVUTSRQPONMLKJIHGFEDCBA0123456789", "name": "bad"}


def run(trials, seed, say):
    del seed  # nothing here is random but the machine
    with Site() as site:
        for number in range(trials):
            site.watch(SECONDS)
            say(f"{(number + 1) * SECONDS} s: {site.figure()}, {len(site.failures)} failures")
        return Outcome(trials, site.figure(), site.failures)


def bite(seed, say):
    """Each attack that a wall refuses must come through without it."""
    del seed
    with Site(refuse_walls) as site:
        site.watch(15)
        say(site.figure())
        missed = site.attacks - site.came_through
        return Outcome(1, site.figure(), [] if missed else site.failures)


class Site:
    attacks = {"starve", "drive", "linger"}  # to `freeze` no wall stands: its end of the pipe is its own

    def __init__(self, before=None):
        self.before = before
        self.failures, self.came_through = [], set()
        self.expected = self.kept = 0
        self.slowest_answer = 0.0

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="things-attacks-")
        folder = pathlib.Path(self.temporary.name)
        for device in (GOOD, BAD):
            (folder / device["name"]).write_text(device["secret"])
            (folder / device["name"]).chmod(0o600)
        self.plc, self.port = ModbusServer(), SerialLine()
        self.plc.count_at(0)
        self.platform = Simulator(folder, [GOOD, BAD])
        attempts = ("starve", "linger", "freeze", f"drive @{self.port.path}")
        points = ", ".join(f'{{name: {what.split()[0]}, reach: "{what}"}}' for what in attempts)
        self.gateway = Gateway(folder, settings(folder, self.platform, max_age="300ms") + f"""
sources:
  good: {{plugin: modbus, host: 127.0.0.1, tcp_port: {self.plc.port}}}
  bad: {{plugin: snoops}}
devices:
  - {{name: good, dvnuuid: {GOOD['dvnuuid']}, secret: {{file: good}}, source: good, interval: {int(BEAT * 1000)}ms,
     points: [{{name: counter, holding: 0, type: uint32}}]}}
  - {{name: bad, dvnuuid: {BAD['dvnuuid']}, secret: {{file: bad}}, source: bad, interval: 200ms, points: [{points}]}}
""", start=False, plugins=(PLUGINS, BUILD / "tests/bad_plugins"))
        start, popen = self.gateway.start, subprocess.Popen
        try:
            subprocess.Popen = lambda *words, **more: popen(*words, preexec_fn=self.before, **more)
            start()
        finally:
            subprocess.Popen = popen
        self.limits = self.descriptors()
        return self

    def __exit__(self, *_):
        self.gateway.__exit__()
        for pid in lingering():
            os.kill(pid, 9)
        self.platform.stop()
        self.plc.close()
        self.port.close()
        self.temporary.cleanup()

    def figure(self):
        return (f"{self.kept / max(self.expected, 1):.4f} of {self.expected} beats, slowest answer to `read` {self.slowest_answer:.2f} s, "
                f"came through: {', '.join(sorted(self.came_through)) or 'none'}")

    def descriptors(self):
        text = pathlib.Path(f"/proc/{self.gateway.process.pid}/limits").read_text()
        return next(line for line in text.splitlines() if line.startswith("Max open files"))

    def watch(self, seconds):
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            asked = time.monotonic()
            try:
                self.gateway.run("read", "bad", "freeze", seconds=10)  # wakes the source, whose plugin fills what wakes it
            except subprocess.TimeoutExpired:
                pass  # the figure says so
            self.slowest_answer = max(self.slowest_answer, time.monotonic() - asked)
            self.look()
            time.sleep(1)
        self.judge(begin, time.monotonic())

    def look(self):
        if self.descriptors() != self.limits:
            self.came_through.add("starve")
        if self.port.get(0):
            self.came_through.add("drive")
        if lingering():
            self.came_through.add("linger")

    def judge(self, begin, end):
        reads = [read for read in list(self.plc.reads) if begin <= read.served <= end]
        expected = int((end - begin) / BEAT)
        self.expected += expected
        self.kept += min(len(reads), expected)
        if len(reads) < LEAST * expected - 1:  # one may fall on the edge
            self.failures.append(f"{len(reads)} of {expected} beats were kept")
        wanted, limit = {read.value for read in reads}, time.monotonic() + 10

        def missing():
            return wanted - {int(reading["value"]) for reading in self.platform.accepted(device=GOOD["dvnuuid"], name="counter")}
        while missing() and time.monotonic() < limit:
            time.sleep(0.1)
        if missing():
            self.failures.append(f"{len(missing())} of {len(wanted)} readings did not go up")
        if self.slowest_answer > 6:
            self.failures.append(f"`read` was answered after {self.slowest_answer:.1f} s")
        if self.gateway.process.poll() is not None:
            self.failures.append(f"the gateway is gone: {self.gateway.process.poll()}")
        self.failures += [f"{attack} came through" for attack in sorted(self.came_through)]


def lingering():
    """Children that the plugin left, wherever they hang by now."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(b"lingers\0"):
                found.append(int(folder.name))
        except OSError:
            pass  # it has ended meanwhile
    return found


def refuse_walls():
    """Landlock's calls, seccomp(2) and prctl(PR_SET_SECCOMP) end with EPERM, for this process and all that come from it."""
    code = []

    def add(operation, then, otherwise, value):
        code.append(struct.pack("HBBI", operation, then, otherwise, value))
    seccomp, prctl = {"x86_64": (317, 157), "aarch64": (277, 167)}[os.uname().machine]
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    allow, refuse = 0x7FFF0000, 0x00050001
    add(load, 0, 0, 0)  # the number of the call
    add(equal, 6, 0, seccomp)
    add(equal, 3, 0, prctl)
    add(at_least, 0, 1, 447)
    add(give, 0, 0, allow)
    add(at_least, 2, 3, 444)  # Landlock's
    add(load, 0, 0, 16)  # of prctl, its first argument
    add(equal, 0, 1, 22)  # PR_SET_SECCOMP
    add(give, 0, 0, refuse)
    add(give, 0, 0, allow)
    program = ctypes.create_string_buffer(b"".join(code))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter_):
        raise OSError(ctypes.get_errno(), "prctl")
