# SPDX-License-Identifier: Apache-2.0
"""Servers that cannot prove who they are, handshakes that break off at any byte, CA files that are none.

The gateway talks to the platform through a relay. In a trial the relay leads to a flawed server instead; it must be called,
learn nothing, and be told of in words, and when the relay leads to the platform again everything must arrive."""

import pathlib
import random
import ssl
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import SECRET, Site, accepted, fleet, send
from support.authority import Authority
from support.faulty_relay import Fault, FaultyRelay
from support.flawed_server import FlawedServer
from support.simulator import PATH, Simulator, token, wait_until

ROWS = "12"
NEEDS = ["openssl"]
TRIALS = {"ci": 1, "hand": 10}  # rounds; a single one has a sample of each kind
BUG = "certificates not verified"
HOST = "127.0.0.1"
BREAKS = 12  # handshakes that break off at some byte, a round


def flaws(folder):
    """name -> (server, a word of the explanation)."""
    good, stranger = Authority(folder, "good"), Authority(folder, "stranger")
    sub = Authority(folder, "sub")  # its own certificate is nobody's: a chain that ends nowhere
    return good, {
        "expired": (FlawedServer(*good.issue(HOST, not_after="20210101000000Z")), "expired"),
        "not yet valid": (FlawedServer(*good.issue(HOST, not_before="20500101000000Z")), "not valid yet"),
        "other host": (FlawedServer(*good.issue("evil.example")), "prove"),
        "other address": (FlawedServer(*good.issue("127.0.0.2")), "prove"),
        "unknown authority": (FlawedServer(*stranger.issue(HOST)), "prove"),
        "broken chain": (FlawedServer(*sub.issue(HOST)), "prove"),
        "self-signed": (FlawedServer(*good.issue(HOST, signed_by_itself=True)), "prove"),
        "TLS 1.1 only": (FlawedServer(*good.issue(HOST), newest=ssl.TLSVersion.TLSv1_1), "TLS 1.2"),
        "TLS 1.0 only": (FlawedServer(*good.issue(HOST), newest=ssl.TLSVersion.TLSv1), "TLS 1.2"),
        "plain HTTP": (FlawedServer(answer=b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"), "TLS"),
        "not TLS": (FlawedServer(answer=bytes(range(256))), "TLS"),
    }


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    failures, figure = [], ""
    count = learned = 0
    with tempfile.TemporaryDirectory(prefix="things-tls-") as name:
        folder = pathlib.Path(name)
        for number in range(trials):
            inner = folder / str(number)
            inner.mkdir()
            tried, known, found = play(inner, random.Random(seed + number), part=0.5 if trials == 1 else 1)
            count, learned, failures = count + tried, learned + known, failures + found
            say(f"round {number + 1}: {count} trials, {len(failures)} failures")
    return Outcome(count, f"{learned} requests, tokens or readings reached an unverified peer, seed {seed}", failures)


def bite(seed, say):
    with tempfile.TemporaryDirectory(prefix="things-tls-") as name:
        tried, _, failures = play(pathlib.Path(name), random.Random(seed), "careless_curl", {"CARELESS": "verify"},
                                  only=("expired", "unknown authority", "other host"))
    return Outcome(tried, "", failures)


def secrets_in(learned):
    return any(word in learned for word in (b"POST", b"Things-Message-Token", b"urn:dev", SECRET.encode()))


def play(folder, chance, shim=None, environment=None, only=None, part=1.0):
    failures, learned = [], 0
    with Simulator(folder, fleet(3)) as platform, FaultyRelay(platform.port) as relay:
        good, servers = flaws(folder)
        # One file for both authorities, so that only the flaw is what is wrong.
        trusted = folder / "trusted.pem"
        trusted.write_text(platform.ca_file.read_text() + good.file.read_text())
        with Site(folder, platform, devices=3, url=f"https://{HOST}:{relay.port}{PATH}", ca_file=trusted, shim=shim,
                  environment=environment, timeout="2s", connect_timeout="1s", retry="{initial: 100ms, max: 500ms}") as site:
            site.start()
            failures += site.settle("the start")
            tried = 0
            for name in only or chance.sample(list(servers), round(len(servers) * part)):
                server, word = servers[name]
                tried += 1
                relay.target = server.port
                relay.drop_all()
                wait_until(lambda: server.calls >= 2 or server.learned, f"the {name} server is called", 20)
                if not shim:
                    answer = wait_until(lambda: explanation(site), f"{name}: the gateway says what is wrong", 20)
                    if word not in answer:
                        failures.append(f"{name}: \"{word}\" is not in \"{answer}\"")
                relay.target = platform.port
                relay.drop_all()
                failures += site.settle(name, 5 if shim else 30)
                if secrets_in(server.learned):
                    failures.append(f"{name}: the server learned {server.learned[:200]}")
                    learned += 1
            if not only:
                breaks, files = round(BREAKS * part), chance.sample(["missing", "empty", "garbage", "a folder"], round(4 * part))
                failures += break_off(site, relay, chance, breaks)
                failures += ca_files(site, trusted, files)
                tried += breaks + len(files)
            for server, _ in servers.values():
                server.__exit__()
    return tried, learned, failures


def explanation(site):
    """What `send` says of a post that failed."""
    answer = send(site)
    return None if answer["accepted"] else answer["answer"]


def break_off(site, relay, chance, breaks):
    """Handshakes that end at some byte of either direction, in every way; a whole one is about 600 up and 1700 down."""
    kinds = [(kind, way) for kind in ("reset", "close", "stall") for way in ("up", "down")]
    faults = [Fault(*(kinds[n % len(kinds)][:1]), **{kinds[n % len(kinds)][1]: chance.randrange(1, 600 if n % 2 == 0 else 1700)})
              for n in range(breaks)]
    first = len(relay.trips)
    relay.fault = lambda number: faults[number - first] if number - first < len(faults) else None
    relay.drop_all()
    wait_until(lambda: len(relay.trips) >= first + len(faults), "every broken handshake was met", 120)
    relay.fault = lambda number: None
    relay.drop_all()
    failures = site.settle("handshakes that break off")
    for trip in relay.trips[first:first + len(faults)]:
        if trip.struck and trip.ended and trip.ended - trip.struck > 3:
            failures.append(f"{trip.fault}: given up only after {trip.ended - trip.struck:.1f} s")
    return failures


def ca_files(site, trusted, files):
    """A CA file that is missing, empty, garbage or a folder: the gateway runs, reads, says so, and sends once it is mended."""
    failures = []
    text = trusted.read_text()
    for what in files:
        site.gateway.stop()
        trusted.unlink()
        if what == "empty":
            trusted.touch()
        elif what == "garbage":
            trusted.write_bytes(random.Random(1).randbytes(4000))
        elif what == "a folder":
            trusted.mkdir()
        before = len(accepted(site.platform))
        site.start()
        answer = wait_until(lambda: explanation(site), f"CA file {what}: the gateway says what is wrong", 20)
        if "ca_file" not in answer:
            failures.append(f"CA file {what}: things.ca_file is not in \"{answer}\"")
        read = len(site.plc.reads)
        wait_until(lambda: len(site.plc.reads) > read + 5, f"CA file {what}: it goes on reading")
        if len(accepted(site.platform)) > before:
            failures.append(f"CA file {what}: readings were sent all the same")
        if what == "a folder":
            trusted.rmdir()
        trusted.write_text(text)
        failures += site.settle(f"CA file {what}, then mended", 60)
    return failures
