# SPDX-License-Identifier: Apache-2.0
"""Hostile clients on the control socket of the real daemon: floods, halves of messages, readers that do not read, peers that
may not, a thousand connections, noise. The figure is the daemon's beat: it tells the service manager once a second that it
lives, and must go on doing so; a proper client must get its answer, and no write may happen."""

import contextlib
import errno
import http.client
import os
import pathlib
import pwd
import random
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

from campaigns.outcome import Outcome
from support.control import Control
from support.gateway import Gateway, settings
from support.modbus_server import ModbusServer
from support.simulator import Simulator, wait_until

ROWS = "24"
TRIALS = {"ci": 1, "hand": 10}
BUG = "the daemon stopped for four seconds"
DEVICE = "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40"
SECRET = "abcdefghijklmnopqrstuvwxyzABCD"
LONGEST_BEAT = 3.0  # seconds; it is due every second
PATIENCE = 10.0  # seconds that a proper client may wait among them
ATTACK = 2.0  # seconds of each kind
GROWTH = 12_000  # kB while 32 clients may each leave 8 MiB unread
SITE = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: DEVICE, secret: {file: secret}, source: plc, interval: 200ms,
     points: [{name: level, holding: 400, writable: {max: 10}}]}
""".replace("DEVICE", DEVICE)


def post(verb, body=b""):
    return b"POST /v1/%s HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%s" % (verb.encode(), len(body), body)


class Beats(threading.Thread):
    """Listens to WATCHDOG=1; the longest silence between two."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.longest, self.last, self.count = gateway, 0.0, time.monotonic(), 0
        self.ends = threading.Event()
        self.start()

    def run(self):
        while not self.ends.is_set():
            if self.gateway.heard("WATCHDOG=1"):
                self.gateway.notices.clear()
                now = time.monotonic()
                self.longest = max(self.longest, now - self.last)
                self.last = now
                self.count += 1
            time.sleep(0.01)

    def stop(self):
        self.ends.set()
        self.join()
        self.longest = max(self.longest, time.monotonic() - self.last)


class Attack:
    """Everything a bad client can do, in a process that has the descriptors for it."""

    def __init__(self, path, chance):
        self.path, self.chance = str(path), chance

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(1)
        try:
            client.connect(self.path)
        except OSError:
            client.close()
            return None
        return client

    def clients(self, count):
        return [client for client in (self.connect() for _ in range(count)) if client]

    def send(self, client, data):
        try:
            client.sendall(data)
        except OSError:
            pass

    def keep_up(self, act, count):
        """`act` on so many connections, again and again, for the time of an attack."""
        end = time.monotonic() + ATTACK
        while time.monotonic() < end:
            for client in self.clients(count):
                act(client)
                client.close()

    def flood(self):
        """Requests without end, answers unread."""
        self.keep_up(lambda client: self.send(client, post("status") * 200), 20)

    def writes(self):
        """Writes that are not allowed, as fast as it goes."""
        self.keep_up(lambda client: self.send(client, post("write", b'{"device":"boiler","point":"level","value":"11"}') * 50), 4)

    def halves(self):
        held = self.clients(40)
        for client in held:
            self.send(client, post("write", b'{"device":"boiler","point":"level","value":"11"}')[:-6])
        time.sleep(ATTACK)
        for client in held:
            client.close()

    def slow_readers(self):
        held = self.clients(32)
        for client in held:
            self.send(client, post("status") * 2000)
        time.sleep(ATTACK)
        for client in held:
            client.close()

    def thousand(self):
        held = self.clients(1000)
        for client in held:
            self.send(client, post("commands"))
        time.sleep(ATTACK)
        for client in held:
            client.close()

    def long_lines(self):
        self.keep_up(lambda client: self.send(client, post("write", b"x" * 1_000_000)), 8)

    def noise(self):
        self.keep_up(lambda client: self.send(client, post("write", b"[" * 3000) + post("read", b"null") + post("status", self.chance.randbytes(30)) +
                                              b"POST /v1/" + self.chance.randbytes(30) + b" HTTP/1.1\r\n\r\n" + self.chance.randbytes(3000)), 16)

    def hang_ups(self):
        """Asked and gone."""
        self.keep_up(lambda client: self.send(client, post("read", b'{"device":"boiler","points":["level"]}')), 8)


KINDS = [name for name, what in vars(Attack).items()
         if not name.startswith("_") and name not in ("connect", "clients", "send", "keep_up")]


def run(trials, seed, say):
    return play(trials, seed, say, stop_for=0)


def bite(seed, say):
    return play(1, seed, say, stop_for=4)


def play(trials, seed, say, stop_for):
    seed = random.randrange(1 << 32) if seed is None else seed
    failures, slowest, answered = [], 0.0, 0
    with tempfile.TemporaryDirectory(prefix="things-control-") as name, ModbusServer() as plc:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o600)
        with Simulator(folder, [{"dvnuuid": DEVICE, "secret": SECRET, "name": "boiler"}]) as platform:
            yaml = settings(folder, platform).replace("level: debug", "level: info") + SITE.replace("PLC", str(plc.port))
            with Gateway(folder, yaml, wrapper=["env", "WATCHDOG_USEC=60000000"]) as gateway:
                beats = Beats(gateway)
                path = folder / "control.sock"
                ask(path, 5)
                before = memory(gateway)
                for trial in range(trials):
                    for kind in KINDS:
                        attack = subprocess.Popen([sys.executable, "-c", f"from campaigns.control import attack; attack({str(path)!r}, {kind!r}, {seed + trial})"],
                                                  cwd=pathlib.Path(__file__).resolve().parents[1])
                        if stop_for and kind == "flood":
                            gateway.process.send_signal(19)
                            time.sleep(stop_for)
                            gateway.process.send_signal(18)
                        while attack.poll() is None:
                            took = ask(path, PATIENCE)
                            slowest, answered = max(slowest, took), answered + (took < PATIENCE)
                            if took >= PATIENCE:
                                failures.append(f"no answer for a proper client within {PATIENCE:.0f} s during {kind}")
                    failures += wrong_peer(path)
                beats.stop()
                if beats.longest > LONGEST_BEAT:
                    failures.append(f"the daemon was silent for {beats.longest:.2f} s")
                if gateway.process.poll() is not None:
                    failures.append(f"the daemon ended with {gateway.process.returncode}")
                grown = memory(gateway) - before
                if grown > GROWTH:
                    failures.append(f"grew by {grown} kB")
                failures += [f"written: {values}" for *_, values in plc.writes]
                readings = platform.count(device=DEVICE, name="level")
                if readings < beats.count:
                    failures.append(f"only {readings} readings in {beats.count} s")
        figure = (f"{len(KINDS)} kinds; longest beat {beats.longest:.2f} s of {beats.count}, {answered} proper requests, the slowest "
                  f"{slowest:.2f} s, {grown} kB grown, seed {seed}")
        return Outcome(trials * len(KINDS), figure, failures)


def attack(path, kind, seed):
    """In a process of its own."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    getattr(Attack(path, random.Random(seed)), kind)()


def ask(path, patience):
    """Seconds until a proper client, which tries again when it is turned away, has its answer; `patience` if it got none."""
    begin = time.monotonic()
    while time.monotonic() < begin + patience:
        try:
            with contextlib.closing(Control(path, patience)) as control:
                if control.ask("status")["ok"]:
                    return time.monotonic() - begin
        except (OSError, ValueError, http.client.HTTPException):
            pass
        time.sleep(0.02)
    return patience


def wrong_peer(path):
    """Somebody who is not in the socket's group is turned away by the kernel."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        os._exit(socket.socket(socket.AF_UNIX).connect_ex(str(path)) == errno.EACCES)
    refused = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return [] if refused else ["nobody could connect"]


def memory(gateway):
    """Resident kB."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text())[1])
