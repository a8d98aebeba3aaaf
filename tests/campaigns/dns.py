# SPDX-License-Identifier: Apache-2.0
"""Name servers that fail in every way, wrong addresses, and a platform that moves to another address.

Gateway and platform are two hosts (network namespaces) with a link in between; the platform is known by name, and its name
server does what the trial says. No connection is possible when the fault begins, until the name is asked for again."""

import pathlib
import random
import socket
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import Site, fleet
from support.name_server import NameServer
from support.network import WORLD, Network, ip, with_file
from support.simulator import PATH, Simulator, wait_until

ROWS = "11"
NEEDS = ["iproute2"]
TRIALS = {"ci": 2, "hand": 240}
BUG = "an address once found kept for ever"
NAME = "platform.test"
MOVED, NOBODY = "10.77.0.7", "10.77.0.9"  # another address of the platform; one where nobody is
FAULTS = ["nxdomain", "servfail", "refused", "empty", "garbage", "silent", "slow", "very slow", "nobody there", "closed port",
          "all packets lost", "moved"]
CURED_WITHIN = 60.0  # seconds, the bar; with the waits of these settings it is far less


def run(trials, seed, say):
    return campaign(trials, seed or random.randrange(1 << 31), say)


def bite(seed, say):
    return campaign(1, seed, say, faults=["moved"], within=5.0, shim="careless_curl", environment={"CARELESS": "names"})


def campaign(trials, seed, say, faults=None, within=CURED_WITHIN, shim=None, environment=None):
    chance = random.Random(seed)
    order = faults or [fault for _ in range(-(-trials // len(FAULTS))) for fault in chance.sample(FAULTS, len(FAULTS))][:trials]
    failures, waits = [], []
    with tempfile.TemporaryDirectory(prefix="things-dns-") as name, Network(seed) as network:
        folder = pathlib.Path(name)
        ip("addr", "add", f"{MOVED}/24", "dev", "trunk")
        with NameServer(WORLD) as names, Simulator(folder, fleet(3), ["--address", "0.0.0.0", "--host", NAME]) as platform:
            names.answer = WORLD
            resolver = folder / "resolv.conf"
            resolver.write_text(f"nameserver {WORLD}\noptions timeout:2 attempts:2\n")
            with network.site():
                site = Site(folder, platform, devices=3, interval_ms=200, url=f"https://{NAME}:{platform.port}{PATH}", shim=shim,
                            environment=environment, connect_timeout="1s", timeout="2s", retry="{initial: 100ms, max: 500ms}")
                site.gateway.wrapper = with_file(resolver, "/etc/resolv.conf", [])
                site.start()
            with site:
                failures += site.settle("the start")
                for number, fault in enumerate(order):
                    found, waited = trial(network, names, platform, site, fault, chance, within)
                    failures += found
                    waits.append(waited)
                    if found or waited > 10:
                        say(f"{fault}: {waited:.1f} s, {found[:1]}")
                    if (number + 1) % 12 == 0:
                        say(f"{number + 1} trials, longest wait after the cure {max(waits):.1f} s, {len(failures)} failures")
                gap = site.widest_gap()
                if gap > 2:
                    failures.append(f"polling stood still for {gap:.2f} s")
    return Outcome(trials, f"longest wait after a cure {max(waits):.1f} s, name asked for {names.asked} times, widest gap in "
                   f"polling {gap:.2f} s, seed {seed}", failures)


def begin(fault, network, names):
    names.delay = {"slow": 1.5, "very slow": 30.0}.get(fault, 0.0)
    if fault in ("nxdomain", "servfail", "refused", "empty", "garbage", "silent"):
        names.answer = fault
    elif fault == "nobody there":
        names.answer = NOBODY
    elif fault == "closed port":
        names.answer = "127.0.0.1"


def ports(packet):
    """Protocol and ports of an IPv4 packet."""
    if packet[0] >> 4 != 4:
        return None, ()
    return packet[9], (packet[20] * 256 + packet[21], packet[22] * 256 + packet[23])


def trial(network, names, platform, site, fault, chance, within):
    here, there = chance.sample([WORLD, MOVED], 2)
    begin(fault, network, names)
    if fault == "moved":
        names.answer = there
    is_blocked, asked, dropped = True, names.asked, network.dropped

    def passes(packet):
        protocol, at = ports(packet)
        if fault == "all packets lost" and protocol == socket.IPPROTO_UDP:
            return False
        if fault == "moved" and {packet[12:16], packet[16:20]} & {socket.inet_aton(here)} and protocol == socket.IPPROTO_TCP:
            return False
        return not (is_blocked and protocol == socket.IPPROTO_TCP)

    # No connection at all for a while: whoever wants one must ask for the name again.
    network.passes = passes
    platform.behave(kind="down")
    platform.behave(kind="up")
    lost = f"{fault}: the name is asked for again"
    try:
        wait_until(lambda: names.asked > asked or fault == "all packets lost" and network.dropped > dropped + 20, lost, within)
    except AssertionError as error:
        network.passes = lambda packet: True
        return [f"{error}, {names.thread.is_alive()}"], within
    is_blocked = False
    if fault != "moved":
        read, until = len(site.plc.reads), time.monotonic() + chance.uniform(1, 3)
        wait_until(lambda: time.monotonic() > until and len(site.plc.reads) > read + 5, "polling goes on", 20)
        network.passes = lambda packet: True
        names.answer, names.delay = chance.choice([WORLD, MOVED]), 0.0
    cured = time.monotonic()
    failures = site.settle(fault, within)
    network.passes = lambda packet: True
    return failures, time.monotonic() - cured
