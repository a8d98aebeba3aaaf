# SPDX-License-Identifier: Apache-2.0
"""Two hosts that hang together by one link of a test's making: the world, with the platform in it, and the site, with the
gateway in it. Each is a network namespace; the link is a pair of TUN devices with this process between them, so every
packet can be delayed, lost, or held to a rate, in either direction. Needs root, or a kernel that lets users make
namespaces. Standard library and iproute2 only.

    with Network() as network:                 # this thread, and what it starts, is in the world from now on
        platform = Simulator(folder, devices, ["--address", WORLD])
        with network.site():                   # what is started and bound in here is at the site
            gateway.start()
        network.delay, network.loss, network.rate = 1.0, 0.2, 32000
        network.is_up = False
"""

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

WORLD, SITE = "10.77.0.1", "10.77.0.2"
WORLD6, SITE6 = "fd77::1", "fd77::2"
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter(namespace):
    check(libc.setns(namespace, CLONE_NEWNET), "setns")


def present():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def become_root():
    """In a user namespace of our own, if we are not root already. For good, and before any thread is started."""
    if os.geteuid() == 0:
        return
    user, group = os.geteuid(), os.getegid()
    check(libc.unshare(CLONE_NEWUSER), "making a user namespace; else this needs root")
    for file, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{file}", "w") as out:
            out.write(text)


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL)


class Network:
    def __init__(self, seed=None):
        self.delay = 0.0     # seconds, one way
        self.jitter = 0.0    # up to so many seconds more, so that packets overtake each other
        self.loss = 0.0      # part of the packets
        self.rate = None     # bits a second, each way; None: no limit
        self.is_up = True    # else nothing passes, and nobody is told
        self.passes = lambda packet: True  # False: this packet is lost
        self.dropped = self.carried = 0
        self.chance = random.Random(seed)

    def __enter__(self):
        become_root()
        self.home = present()
        self.namespaces, self.devices = [], []
        for address, address6 in ((WORLD, WORLD6), (SITE, SITE6)):
            check(libc.unshare(CLONE_NEWNET), "making a network namespace")
            self.namespaces.append(present())
            self.devices.append(self.make_device(address, address6))
        self.wake_end, self.wake = os.pipe()
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()
        enter(self.namespaces[0])
        return self

    def __exit__(self, *_):
        os.write(self.wake, b".")
        self.thread.join()
        with contextlib.suppress(OSError):  # not from a user namespace of our own
            enter(self.home)
        for descriptor in (*self.namespaces, *self.devices, self.wake, self.wake_end, self.home):
            os.close(descriptor)

    @contextlib.contextmanager
    def site(self):
        enter(self.namespaces[1])
        try:
            yield
        finally:
            enter(self.namespaces[0])

    @staticmethod
    def make_device(address, address6):
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"trunk", IFF_TUN | IFF_NO_PI))
        ip("link", "set", "lo", "up")
        ip("addr", "add", f"{address}/24", "dev", "trunk")
        ip("link", "set", "trunk", "up", "mtu", "1400")
        with contextlib.suppress(subprocess.CalledProcessError):  # a machine without IPv6
            ip("-6", "addr", "add", f"{address6}/64", "dev", "trunk", "nodad")
        return device

    def carry(self):
        """Packets from either device to the other, each at its time."""
        waiting, number, free_at = [], 0, [0.0, 0.0]
        while True:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, to, packet = heapq.heappop(waiting)
                with contextlib.suppress(OSError):
                    os.write(self.devices[to], packet)
            rest = max(0.0, waiting[0][0] - now) if waiting else None
            ready, _, _ = select.select([*self.devices, self.wake_end], [], [], rest)
            if self.wake_end in ready:
                return
            for source in ready:
                direction = self.devices.index(source)
                packet = os.read(source, 65536)
                if not self.is_up or self.chance.random() < self.loss or not self.passes(packet):
                    self.dropped += 1
                    continue
                self.carried += 1
                begin = max(time.monotonic(), free_at[direction])
                if self.rate:
                    if begin - time.monotonic() > 3:  # a modem's buffer has an end
                        self.dropped += 1
                        continue
                    begin += len(packet) * 8 / self.rate
                    free_at[direction] = begin
                due = begin + self.delay + self.chance.random() * self.jitter
                number += 1
                heapq.heappush(waiting, (due, number, 1 - direction, packet))


def with_file(path, stands_in_for, command):
    """The command, run where the file at `path` stands in for another, such as /etc/resolv.conf."""
    script = 'mount --bind "$0" "$1" && shift && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(path), str(stands_in_for), *map(str, command)]
