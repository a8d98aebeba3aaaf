# SPDX-License-Identifier: Apache-2.0
"""Connections that break, stall or crawl at any byte, and answers that are not what HTTP promises.

Between gateway and platform stands a relay that breaks each connection at a byte of its own, both ways, in every manner.
Then the platform itself answers with each kind of nonsense, and an HTTP/2 front ends streams and connections as only HTTP/2
can. No post may hold longer than things.timeout + 1 s, nothing may be lost, an accepted post whose answer broke may repeat
only byte by byte, and the memory an answer takes is bounded."""

import pathlib
import random
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import Site, accepted, fleet
from support.authority import Authority
from support.faulty_relay import Fault, FaultyRelay
from support.h2_front import H2Front
from support.simulator import PATH, Simulator, wait_until

ROWS = "14"
NEEDS = ["openssl", "python3-h2"]
TRIALS = {"ci": 30, "hand": 6000}  # broken connections; besides, each kind of answer at most once
BUG = "no time limit on a post"
HOST = "127.0.0.1"
TIMEOUT = 1.0
SLACK = 1.0
LENGTH = 6000  # bytes either way within which a connection breaks: several posts
DEVICES = 8
TIMES = {"timeout": "1s", "connect_timeout": "1s", "retry": "{initial: 50ms, max: 300ms}", "max_age": "100ms"}
WAYS = [(kind, way) for kind in ("reset", "close", "stall", "deaf") for way in ("up", "down") if (kind, way) != ("deaf", "down")]
TAKEN = "HTTP/1.1 202 \r\n"
# name -> behaviour: what becomes of it is judged by the readings alone.
ANSWERS = {
    "nothing, then a close": {"kind": "close"},
    "nothing, then a reset": {"kind": "reset"},
    "silence": {"kind": "silent"},
    "bytes that are not HTTP": {"kind": "garbage"},
    "taken, but the answer is lost": {"kind": "lost"},
    "202, then the body ends early": {"kind": "truncated"},
    "one byte a second": {"kind": "drip", "drip_ms": 1000},
    "1 GB of body": {"kind": "huge", "bytes": 1_000_000_000},
    "202, then NULs without end": {"kind": "raw_taken", "body": TAKEN + "\r\n", "more": "\0" * 10000, "bytes": 50_000_000},
    "headers without end": {"kind": "raw_taken", "body": TAKEN, "more": "X-More: and more\r\n" * 100, "bytes": 50_000_000},
    "one header without end": {"kind": "raw_taken", "body": TAKEN + "X-More: ", "more": "a" * 10000, "bytes": 50_000_000},
    "interim answers without end": {"kind": "raw", "body": "", "more": "HTTP/1.1 102 \r\n\r\n" * 50, "bytes": 50_000_000},
    "100 Continue, then 202": {"kind": "raw_taken", "body": "HTTP/1.1 100 Continue\r\n\r\n" + TAKEN + "Content-Length: 0\r\n\r\n"},
    "a status line that is none": {"kind": "raw", "body": "HTTP/9.9 abc\r\n\r\n"},
    "NULs in the headers": {"kind": "raw", "body": "HTTP/1.1 503 \r\nX-A: \0\0\0\r\nContent-Length: 0\r\n\r\n"},
    "two lengths": {"kind": "raw", "body": "HTTP/1.1 503 \r\nContent-Length: 3\r\nContent-Length: 900\r\n\r\nabc"},
    "a negative length": {"kind": "raw", "body": "HTTP/1.1 503 \r\nContent-Length: -5\r\n\r\nabc"},
    "a length of 2^70": {"kind": "raw", "body": "HTTP/1.1 503 \r\nContent-Length: 1180591620717411303424\r\n\r\nabc"},
    "chunks of junk": {"kind": "raw", "body": "HTTP/1.1 503 \r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"},
    "202 in chunks of junk": {"kind": "raw_taken", "body": TAKEN + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"},
    "chunks without end": {"kind": "raw_taken", "body": TAKEN + "Transfer-Encoding: chunked\r\n\r\n",
                           "more": "400\r\n" + "b" * 1024 + "\r\n", "bytes": 50_000_000},
    "the same header a hundred times": {"kind": "raw", "body": "HTTP/1.1 503 \r\n" + "Retry-After: 0\r\n" * 100 + "\r\n"},
    "Retry-After twice": {"kind": "raw", "body": "HTTP/1.1 500 \r\nRetry-After: 0\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"},
    "said to be gzip, is none": {"kind": "raw_taken", "body": TAKEN + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\0\1\2\3"},
    "a gzip bomb": {"kind": "raw_taken", "body": TAKEN + "Content-Encoding: gzip\r\n\r\n\x1f\x0b\b\0", "more": "\0" * 10000,
                    "bytes": 20_000_000},
    "bytes after the answer": {"kind": "raw_taken", "body": TAKEN + "Content-Length: 0\r\n\r\nHTTP/1.1 500 \r\n\r\n"},
    "503 before the body is read": {"kind": "early", "status": 503},
    "408 before the body is read": {"kind": "early", "status": 408},
    "a reset before the body is read": {"kind": "early", "body": "HTTP/1.1 50"},
}
KNOWN_TAKEN = {"202, then the body ends early", "202, then NULs without end", "1 GB of body", "202 in chunks of junk",
               "chunks without end", "a gzip bomb", "headers without end", "one header without end"}  # delivered, though the transport failed after the 202
STREAMS = ["goaway", "goaway_unseen", "reset", "reset_after", "early", "cut"]


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    failures, figures = [], []
    for part in (broken, nonsense, streams):
        with tempfile.TemporaryDirectory(prefix="things-transport-") as name:
            failures += part(pathlib.Path(name), random.Random(seed), trials, figures, say)
    return Outcome(trials + min(len(ANSWERS), trials // 4) + len(STREAMS) * 4, "; ".join(figures) + f"; seed {seed}", failures)


def bite(seed, say):
    figures = []
    with tempfile.TemporaryDirectory(prefix="things-transport-") as name:
        failures = broken(pathlib.Path(name), random.Random(seed), 12, figures, say, "careless_curl", {"CARELESS": "timeout"},
                          ways=[("stall", "down")])
    return Outcome(12, figures[0], failures)


def broken(folder, chance, trials, figures, say, shim=None, environment=None, ways=WAYS):
    """Connection number n breaks at byte n, when there are enough of them, else at any; and so each way."""
    def fault(number):
        kind, way = ways[number % len(ways)]
        at = number // len(ways) % LENGTH if trials >= LENGTH else chance.randrange(LENGTH)
        return Fault(kind, **{way: at})

    with Simulator(folder, fleet(DEVICES)) as platform, FaultyRelay(platform.port, fault) as relay:
        with Site(folder, platform, devices=DEVICES, interval_ms=100, url=f"https://{HOST}:{relay.port}{PATH}", shim=shim,
                  environment=environment, **TIMES) as site:
            site.start()
            begin = time.monotonic()
            limit = 5 if shim else 60 + trials
            while len(relay.trips) < trials and time.monotonic() < begin + limit:
                time.sleep(0.1)
                if len(relay.trips) % 500 == 499:
                    say(f"{len(relay.trips)} broken connections, {len(accepted(platform))} readings accepted")
            done = len(relay.trips)
            time.sleep(TIMEOUT + SLACK if shim else 0)
            now = time.monotonic()
            waits = [(trip.ended or now) - trip.withheld for trip in relay.trips[:done] if trip.withheld]
            relay.fault = lambda number: None
            relay.drop_all()
            failures = [] if done >= trials else [f"only {done} connections were made in {limit} s"]
            failures += site.settle("broken connections", 10 if shim else 60)
            longest = max(waits, default=0)
            if longest > TIMEOUT + SLACK:
                failures.append(f"a post held for {longest:.2f} s with a timeout of {TIMEOUT:g} s")
            stats = platform.stats()
            figures.append(f"{done} connections broken at a byte, longest hold {longest:.2f} s, {site.repeats()} readings repeated in "
                           f"{stats['repeated_packs']} packs, widest gap in polling {site.widest_gap():.2f} s")
            packs_with_repeats = site.repeats()
            if packs_with_repeats and not stats["repeated_packs"]:
                failures.append("readings were repeated in packs that are not the same bytes")
            if site.widest_gap() > 2:
                failures.append(f"polling stood still for {site.widest_gap():.2f} s")
    return failures


def nonsense(folder, chance, trials, figures, say):
    failures = []
    with Simulator(folder, fleet(3)) as platform, Site(folder, platform, devices=3, interval_ms=100, **TIMES) as site:
        site.start()
        failures += site.settle("the start")
        before = site.peak_kb()
        longest = 0.0
        names = chance.sample(list(ANSWERS), min(len(ANSWERS), trials // 4))
        for name, behaviour in ((name, ANSWERS[name]) for name in names):
            counted = site.verdicts().get("delivered_with_error", 0)
            platform.behave(**behaviour, count=1)
            begin = time.monotonic()
            wait_until(lambda: all(b["used"] for b in platform.control("GET", "/behaviour")["behaviours"]), f"{name}: was met", 20)
            failures += site.settle(name, 20)
            longest = max(longest, time.monotonic() - begin)
            platform.control("DELETE", "/behaviour")
            counted = site.verdicts().get("delivered_with_error", 0) - counted
            if counted != (name in KNOWN_TAKEN):
                failures.append(f"{name}: {counted} counted as accepted with an error")
        grown = site.peak_kb() - before
        if grown > 8192:
            failures.append(f"answers took {grown} kB of memory")
        figures.append(f"{len(names)} of {len(ANSWERS)} kinds of answers, memory +{grown} kB, slowest recovery {longest:.1f} s")
    return failures


def streams(folder, chance, trials, figures, say):
    """What only HTTP/2 has. Every third request fares so."""
    failures = []
    with Simulator(folder, fleet(DEVICES)) as platform:
        ca = Authority(folder)
        with H2Front(platform, *ca.issue(HOST)) as front:
            with Site(folder, platform, devices=DEVICES, interval_ms=100, url=front.url, ca_file=ca.file, **TIMES) as site:
                site.start()
                failures += site.settle("HTTP/2")
                for kind in STREAMS:
                    first = front.streams
                    front.fault = lambda number, kind=kind, first=first: kind if number % 3 == 0 and number <= first + 12 else None
                    wait_until(lambda: front.streams > first + 12, f"{kind}: was met", 30)
                    failures += site.settle(f"HTTP/2 {kind}")
                posts = front.streams
                figures.append(f"{posts} HTTP/2 streams over {front.calls} connections with {len(STREAMS)} kinds of ends, "
                               f"{site.repeats()} readings repeated")
    return failures
