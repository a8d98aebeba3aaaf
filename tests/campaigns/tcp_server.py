# SPDX-License-Identifier: Apache-2.0
"""Modbus TCP servers that accept and say nothing, reset, swallow the connection, vanish, have no room, or move.

The real gateway reads a good server and one that fails in each way for a while (root only: it gets a hosts file of its own). The good one keeps its beat, the other is
read again soon after it is well, no answer is taken for another, and servers that stay away are not stormed."""

import dataclasses
import pathlib
import random
import select
import socket
import struct
import tempfile
import threading
import time

from campaigns.outcome import Outcome
from support.gateway import PLUGINS, Gateway, settings
from support.modbus_site import Fleet, beats, read_accepted, wrong_values
from support.simulator import BUILD, Simulator, wait_until

ROWS = "21"
TRIALS = {"ci": 6, "hand": 300}
BUG = "a connection that is never opened again"
TIMEOUT = 0.3
BEAT = 0.25
LEAST = 0.98     # of the beat of the good server
KINDS = ("silent", "reset", "swallowed", "half open", "full", "moved")
TCP_REPAIR = 19
MOST_CONNECTS = 4  # while it fails, and one more a second: the first come at once


class Server:
    """Answers reads of holding registers with what they are (see ModbusUnits::describe), until told to fail."""

    def __init__(self, hosts):
        self.kind = None      # how it fails
        self.hosts = hosts    # the file that says where it is
        self.accepted = 0
        self.clients = []
        self.fillers = []     # connections that fill the queue of a listener
        self.lock = threading.Lock()
        self.stopping = False
        self.listen("127.0.0.2", 0)
        self.address, self.port = self.listener.getsockname()
        self.tell_address()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def tell_address(self):
        self.hosts.write_text(f"127.0.0.1 localhost\n{self.address} plc.test\n")  # in place: it is mounted

    def listen(self, address, port, room=50):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(room)

    def close(self):
        self.stopping = True
        self.thread.join()
        for each in [self.listener, *self.clients, *self.fillers]:
            each.close()

    def run(self):
        while not self.stopping:
            with self.lock:
                watched = list(self.clients) + ([self.listener] if self.kind != "swallowed" else [])
                ready, _, _ = select.select(watched, [], [], 0.005)
                for each in ready:
                    if each is self.listener:
                        self.accept()
                    else:
                        self.serve(each)
            time.sleep(0.001)

    def accept(self):
        client, _ = self.listener.accept()
        self.accepted += 1
        if self.kind == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        elif self.kind == "full":
            client.close()
        else:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.clients.append(client)

    def serve(self, client):
        try:
            request = client.recv(4096)
        except OSError:
            request = b""
        if not request:
            self.clients.remove(client)
            client.close()
        while len(request) >= 12:
            transaction, _, _, unit, function, address, count = struct.unpack(">HHHBBHH", request[:12])
            request = request[12:]
            if self.kind is None:
                words = b"".join(struct.pack(">Q", unit << 45 | a // 4 << 32 | int(time.time() * 1000) & 0xFFFFFFFF)
                                 for a in range(address, address + count, 4))
                client.sendall(struct.pack(">HHHBBB", transaction, 0, 3 + len(words), unit, function, len(words)) + words)

    def fail(self, kind):
        with self.lock:
            self.kind = kind
            if kind == "silent":
                return
            for client in self.clients:
                if kind == "half open":  # forgets it without a word, as after a power cut
                    client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
                elif kind in ("reset", "swallowed"):
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            self.clients.clear()
            if kind == "half open":
                self.kind = None
            if kind == "moved":  # to another address of the same name
                self.kind = None
                self.listener.close()
                self.address = "127.0.0.3" if self.address == "127.0.0.2" else "127.0.0.2"
                self.listen(self.address, self.port)
                self.tell_address()
            if kind == "swallowed":  # no room in the queue: the system drops every SYN
                self.listener.close()
                self.listen(self.address, self.port, 0)
                while len(self.fillers) < 2:
                    filler = socket.socket()
                    filler.setblocking(False)
                    filler.connect_ex((self.address, self.port))
                    self.fillers.append(filler)

    def heal(self):
        with self.lock:
            if self.kind == "swallowed":
                self.listener.close()
                for filler in self.fillers:
                    filler.close()
                self.fillers.clear()
                self.listen(self.address, self.port)
            self.kind = None


@dataclasses.dataclass
class Watch:
    waits: dict
    connects: float = 0.0
    kept: float = 0.0


def run(trials, seed, say):
    return play(trials, seed, say, PLUGINS)


def bite(seed, say):
    return play(3, seed, say, BUILD / "tests/bugs/gives-up")


def play(trials, seed, say, plugins):
    chance, failures, watch = random.Random(seed), [], Watch({})
    longest, patience = (4, 20) if trials > 50 else (0.8, 8)  # seconds that a failure lasts, and that it may take to recover
    with tempfile.TemporaryDirectory(prefix="things-tcp-") as name:
        folder = pathlib.Path(name)
        fleet, good, bad = Fleet(folder), Server(folder / "good"), Server(folder / "hosts")
        own_hosts = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(bad.hosts)]
        keys = f"timeout: {TIMEOUT * 1000:.0f}ms, connect_timeout: 1s"
        fleet.source("good", f"host: 127.0.0.2, tcp_port: {good.port}, {keys}")
        fleet.source("bad", f"host: plc.test, tcp_port: {bad.port}, {keys}")
        healthy = fleet.device("good", 1, f"{BEAT * 1000:.0f}ms")
        device = fleet.device("bad", 2, f"{BEAT * 1000:.0f}ms", "backoff_max: 2s")
        try:
            with Simulator(folder, fleet.platform_devices) as platform:
                with Gateway(folder, settings(folder, platform) + fleet.yaml(), plugins=plugins,
                             wrapper=own_hosts) as gateway:
                    def first_after(moment):
                        return min((t for d, _, t, _ in read_accepted(platform) if d == device and t > moment), default=None)
                    wait_until(lambda: first_after(0) and beats(read_accepted(platform), healthy, 0, time.time()),
                               "both are read")
                    begin = time.time()
                    for number in range(trials):
                        kind = KINDS[number % len(KINDS)]
                        if not one_failure(kind, number, bad, chance.uniform(0.3, longest), patience, first_after, watch, failures):
                            break
                        if (number + 1) % 20 == 0:
                            say(f"{number + 1} failures")
                    end = time.time()
                    time.sleep(1.5)
                    accepted = read_accepted(platform)
                    log = gateway.log()
        finally:
            good.close()
            bad.close()
    watch.kept = beats(accepted, healthy, begin, end) * BEAT / (end - begin)
    if watch.kept < LEAST:
        failures.append(f"the good server kept {watch.kept:.3f} of its beat")
    failures += wrong_values(accepted, fleet.units, 5 * TIMEOUT + 1)
    figure = (", ".join(f"{kind} {max(times, default=0):.1f} s" for kind, times in sorted(watch.waits.items())) +
              f" until it was read again; {watch.kept:.3f} of the beat beside it, at most {watch.connects:.1f} connections a "
              f"second, {len(log.splitlines())} log lines, seed {seed}")
    return Outcome(sum(map(len, watch.waits.values())), figure, failures)


def one_failure(kind, number, bad, lasts, patience, first_after, watch, failures):
    before = bad.accepted
    bad.fail(kind)
    time.sleep(lasts)
    connects = bad.accepted - before
    watch.connects = max(watch.connects, connects / max(lasts, 1))
    if connects > MOST_CONNECTS + lasts:
        failures.append(f"{number}, {kind}: {connects} connections in {lasts:.1f} s")
    bad.heal()
    well = time.time()
    # A server that stays away is asked with pauses that grow to fifteen seconds; after four seconds they are this long.
    try:
        watch.waits.setdefault(kind, []).append(wait_until(lambda: first_after(well), "read again", patience) - well)
    except AssertionError as error:
        failures.append(f"{number}, {kind}: {error}")
        return False
    if watch.waits[kind][-1] > max(2 * lasts, 2.5):
        failures.append(f"{number}, {kind} for {lasts:.1f} s: read again only after {watch.waits[kind][-1]:.1f} s")
    return True
