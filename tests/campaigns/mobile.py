# SPDX-License-Identifier: Apache-2.0
"""Mobile links: long and lossy, slow, flapping, behind a portal, with dead IPv6, a forgetful NAT, a proxy, HTTP/2.

Gateway and platform are two hosts with a link in between, every packet of which is this campaign's to delay or lose. A
profile runs for a while with readings coming in and a backlog from before; then the link is good again and everything must
arrive."""

import pathlib
import random
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import SECRET, Site, accepted, fleet
from support.authority import Authority
from support.connect_proxy import ConnectProxy
from support.flawed_server import FlawedServer
from support.h2_front import H2Front
from support.name_server import NameServer
from support.network import WORLD, WORLD6, Network, with_file
from support.simulator import PATH, Simulator, wait_until

ROWS = "15"
NEEDS = ["iproute2", "openssl", "python3-h2"]
TRIALS = {"ci": 2, "hand": 54}
BUG = "certificates not verified, behind a captive portal"
NAME = "platform.test"
TIMES = {"connect_timeout": "3s", "timeout": "6s", "retry": "{initial: 200ms, max: 1s}", "max_age": "300ms"}
DEVICES = 4


class Place:
    """The two hosts with what is on them, for one profile."""

    def __init__(self, folder, seed, addresses=(WORLD,), shim=None, environment=None, front=None, **more):
        self.folder = pathlib.Path(folder)
        self.network = Network(seed).__enter__()
        self.names = NameServer(WORLD)
        self.names.answer = list(addresses)
        self.platform = Simulator(self.folder, fleet(DEVICES), ["--address", "::" if WORLD6 in addresses else "0.0.0.0",
                                                                "--host", NAME])
        resolver = self.folder / "resolv.conf"
        resolver.write_text(f"nameserver {WORLD}\noptions timeout:2 attempts:2\n")
        port = self.platform.port
        if front:
            ca = Authority(self.folder)
            self.front = H2Front(self.platform, *ca.issue(NAME), host=WORLD)
            port, more["ca_file"] = self.front.port, ca.file
        with self.network.site():
            self.site = Site(self.folder, self.platform, devices=DEVICES, shim=shim, environment=environment,
                             url=f"https://{NAME}:{port}{PATH}", **{**TIMES, **more})
            self.site.gateway.wrapper = with_file(resolver, "/etc/resolv.conf", [])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.site.__exit__()
        self.platform.stop()
        self.names.__exit__()
        self.network.__exit__()

    def start(self):
        with self.network.site():
            self.site.start()
        return self.site.settle("the start")

    def let_pass(self, seconds):
        until = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() > until, "time has passed", seconds + 5)

    def end(self, what, seconds=60):
        """The link is good again."""
        network = self.network
        network.delay = network.jitter = network.loss = 0.0
        network.rate, network.is_up, network.passes = None, True, lambda packet: True
        failures = self.site.settle(what, seconds)
        gap = self.site.widest_gap()
        if gap > 2:
            failures.append(f"{what}: polling stood still for {gap:.2f} s")
        return failures


def through(place, what, seconds, least=1):
    """Some packs must come through while the link is what it is."""
    before = len({when for *_, when in accepted(place.platform)})
    place.let_pass(seconds)
    packs = len({when for *_, when in accepted(place.platform)}) - before
    return packs, [] if packs >= least else [f"{what}: {packs} packs came through in {seconds} s, expected {least}"]


def lossy(folder, seed, long):
    """Round trips of 2 s and a fifth of the packets lost; in CI 0.6 s and a tenth. Timeouts are the default ones."""
    with Place(folder, seed, connect_timeout="10s", timeout="30s") as place:
        failures = place.start()
        place.network.delay, place.network.jitter, place.network.loss = (1.0, 0.2, 0.2) if long else (0.3, 0.05, 0.1)
        place.platform.behave(kind="down")
        place.platform.behave(kind="up")
        packs, found = through(place, "lossy", 150 if long else 6)
        return failures + found + place.end("a lossy link"), f"{packs} packs through, {place.network.dropped} packets lost"


def slow(folder, seed, long):
    """32 kbit/s with 300 ms each way: headers and TLS are most of it; packs grow instead of queueing up."""
    with Place(folder, seed, connect_timeout="10s", timeout="30s") as place:
        failures = place.start()
        place.network.delay, place.network.rate = 0.3, 32000
        packs, found = through(place, "32 kbit/s", 60 if long else 4, 1)
        return failures + found + place.end("a slow link"), f"{packs} packs through"


def drain(folder, seed, long):
    """A backlog over 300 ms of round trip against the law: parallel / round trip."""
    with Place(folder, seed, batch="max_records: 5", things="parallel: 4", interval_ms=200 if long else 50) as place:
        failures = place.start()
        place.platform.behave(kind="down")
        served = len(place.site.plc.reads)
        wait_until(lambda: len(place.site.plc.reads) > served + (1600 if long else 400), "a backlog", 120)
        backlog = len({(r.unit, r.value) for r in list(place.site.plc.reads)}) - len(accepted(place.platform))
        place.network.delay = 0.15
        before = len(accepted(place.platform))
        place.platform.behave(kind="up")
        wait_until(lambda: len(accepted(place.platform)) > before, "the first pack", 20)
        begin, first = time.monotonic(), len({when for *_, when in accepted(place.platform)})
        wait_until(lambda: len(accepted(place.platform)) - before >= backlog, "the backlog has drained", 180)
        packs = len({when for *_, when in accepted(place.platform)}) - first
        rate = packs / (time.monotonic() - begin)
        law = DEVICES / 0.3
        if rate < 0.8 * law * (1 if long else 0.75):  # a short drain has its connections to make
            failures.append(f"drained {rate:.1f} packs/s, the law gives {law:.1f}")
        return failures + place.end("a drain"), f"{backlog} readings drained at {rate:.1f} packs/s of {law:.1f}"


def flapping(folder, seed, long):
    """10 s on, 50 s off; in CI 2 s on, 3 s off."""
    with Place(folder, seed) as place:
        failures = place.start()
        on, off = (10, 50) if long else (2, 3)
        for _ in range(3 if long else 1):
            place.network.is_up = False
            place.let_pass(off)
            place.network.is_up = True
            packs, found = through(place, "flapping", on)
            failures += found
        return failures + place.end("a flapping link"), f"{packs} packs in the last {on} s on"


def portal(folder, seed, long, shim=None, environment=None):
    """Every name leads to a captive portal with a certificate of its own, or one that speaks plain HTTP, until somebody
    logs in."""
    with Place(folder, seed, shim=shim, environment=environment) as place:
        failures = place.start()
        login = b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Length: 0\r\n\r\n"
        stranger = Authority(pathlib.Path(folder), "portal")
        port = place.platform.port
        for what, credentials in (("a portal over TLS", stranger.issue("portal.example")), ("a portal without TLS", ())):
            # The portal takes the platform's place at its own port: an outage of that, and a listener there.
            place.platform.behave(kind="down")
            server = FlawedServer(*credentials, address=(WORLD, port), answer=login)
            wait_until(lambda server=server: server.calls >= 2 or server.learned, f"{what} is called", 20)
            place.let_pass(1)
            server.__exit__()
            place.platform.behave(kind="up")
            if any(word in server.learned for word in (b"POST", b"urn:dev", SECRET.encode())):
                failures.append(f"{what} learned {server.learned[:100]}")
            failures += place.site.settle(what, 5 if shim else 30)
            if shim:
                return failures, ""
        return failures + place.end("a portal"), "nothing told to two portals"


def dead_six(folder, seed, long):
    """The name has an IPv6 address, the host has a route, and no IPv6 packet arrives anywhere."""
    with Place(folder, seed, addresses=(WORLD6, WORLD)) as place:
        place.network.passes = lambda packet: packet[0] >> 4 == 4
        begin = time.monotonic()
        failures = place.start()
        place.platform.behave(kind="down")
        place.platform.behave(kind="up")
        cut = time.monotonic()
        before = len(accepted(place.platform))
        wait_until(lambda: len(accepted(place.platform)) > before, "a pack over IPv4", 20)
        waited = time.monotonic() - cut
        if waited > 3:
            failures.append(f"dead IPv6 cost {waited:.1f} s")
        return failures + place.end("dead IPv6"), f"first pack {waited:.1f} s after a cut (start {cut - begin:.1f} s)"


def forgetful_nat(folder, seed, long):
    """The NAT forgets every flow after a silence: what comes on old ones is lost without a word, or answered by a reset."""
    with Place(folder, seed, things="min_interval: 1s") as place:
        failures = place.start()
        for number in range(6 if long else 1):
            old = set()
            place.network.passes = lambda packet: old.add(flow(packet)) or True
            place.let_pass(1.5)
            known = frozenset(old)
            place.network.passes = lambda packet, known=known: flow(packet) is None or flow(packet) not in known
            failures += place.site.settle("a NAT that forgot", 30)
        if long:  # longer than a connection may be kept unused: a new one is made
            place.site.plc.is_silent = True
            place.let_pass(150)
            place.site.plc.is_silent = False
        return failures + place.end("a forgetful NAT"), f"{place.network.dropped} packets into the void"


def flow(packet):
    """The ports of a TCP packet, either way the same."""
    if packet[0] >> 4 != 4 or packet[9] != 6:
        return None
    return tuple(sorted((packet[20:22], packet[22:24])))


def proxy(folder, seed, long):
    """Only the proxy reaches the platform: named in the configuration, then by the environment; then it refuses for a while."""
    failures, told = [], []
    with Network(seed) as network, ConnectProxy(WORLD) as door:
        for number, (how, things, environment) in enumerate((
                ("the configuration", f"proxy: \"http://{WORLD}:{door.port}\"", {}),
                ("the environment", "", {"https_proxy": f"http://{WORLD}:{door.port}", "no_proxy": "localhost"}))):
            inner = pathlib.Path(folder) / str(number)
            inner.mkdir()
            with Simulator(inner, fleet(DEVICES)) as platform:  # on the world's loopback: the site has no way to it
                asked = len(door.asked)
                with network.site():
                    site = Site(inner, platform, devices=DEVICES, environment=environment, things=things, **TIMES).start()
                with site:
                    failures += site.settle(f"a proxy from {how}")
                    if len(door.asked) == asked or any(target != f"127.0.0.1:{platform.port}" for target in door.asked[asked:]):
                        failures.append(f"a proxy from {how} was asked for {door.asked[asked:]}")
                    if any(b"Things-Message-Token" in head or SECRET.encode() in head for head in door.heads):
                        failures.append("the proxy saw the token")
                    door.refusal = 407
                    platform.behave(kind="down")
                    platform.behave(kind="up")
                    wait_until(lambda: "proxy" in site.last_words(), "the gateway says that the proxy refuses", 20)
                    door.refusal = None
                    failures += site.settle(f"a proxy from {how} that refused for a while")
                    told.append(f"{len(door.asked) - asked} tunnels by {how}")
    return failures, ", ".join(told)


def http2(folder, seed, long):
    """The platform's front offers HTTP/2: many streams, few connections, without a word in the configuration."""
    with Place(folder, seed, front=True) as place:
        failures = place.start()
        place.network.delay = 0.1
        packs, found = through(place, "HTTP/2", 20 if long else 3, 8)
        if place.front.streams < 8 or place.front.calls > 3:
            failures.append(f"{place.front.streams} posts over {place.front.calls} connections")
        return (failures + found + place.end("HTTP/2"),
                f"{place.front.streams} posts over {place.front.calls} connections")


PROFILES = {"lossy": lossy, "slow": slow, "drain": drain, "flapping": flapping, "portal": portal, "dead IPv6": dead_six,
            "NAT": forgetful_nat, "proxy": proxy, "HTTP/2": http2}


def run(trials, seed, say):
    """With many trials the profiles are long ones."""
    seed = seed or random.randrange(1 << 31)
    long = trials >= 2 * len(PROFILES)
    names = [name for number in range(-(-trials // len(PROFILES)))
             for name in random.Random(seed + number).sample(list(PROFILES), len(PROFILES))][:trials]
    failures, told = [], {}
    for number, name in enumerate(names):
        with tempfile.TemporaryDirectory(prefix="things-mobile-") as folder:
            found, figure = PROFILES[name](folder, seed + number, long)
            failures += found
            told[name] = figure
            if long:
                say(f"{name}: {figure}; {len(failures)} failures")
    return Outcome(trials, "; ".join(f"{name}: {figure}" for name, figure in told.items()) + f"; seed {seed}", failures)


def bite(seed, say):
    with tempfile.TemporaryDirectory(prefix="things-mobile-") as folder:
        failures, _ = portal(folder, seed, False, "careless_curl", {"CARELESS": "verify"})
    return Outcome(1, "", failures)
