# SPDX-License-Identifier: Apache-2.0
"""A real server in front of the platform: nginx over HTTP/2 that is reloaded, killed, closes idle and old connections, refuses
large bodies, finds no platform, and answers with a compressed bomb; and OpenSSL's server that asks to negotiate TLS anew.

Nothing may be lost; sent twice may be what was under way when a connection or the platform went."""

import pathlib
import random
import subprocess
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import Site, fleet
from support.authority import Authority
from support.gateway import free_port
from support.nginx import BOMB, Nginx
from support.simulator import PATH, Simulator, wait_until

ROWS = "12, 14"
NEEDS = ["nginx-light", "openssl"]
TRIALS = {"ci": 0, "hand": 5}  # rounds of everything
BUG = "readings taken away between server and platform"
DEVICES = 4
TIMES = {"timeout": "3s", "connect_timeout": "1s", "retry": "{initial: 50ms, max: 300ms}", "max_age": "100ms"}
MEMORY = 8192  # kB that a bomb may cost
ENOUGH = 40  # requests that meet each setting


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 31)
    chance, failures, figures = random.Random(seed), [], []
    for number in range(trials):
        with tempfile.TemporaryDirectory(prefix="things-front-") as name:
            failures += behind_nginx(pathlib.Path(name), chance, figures)
        with tempfile.TemporaryDirectory(prefix="things-front-") as name:
            failures += negotiate_anew(pathlib.Path(name), figures)
        say(f"round {number + 1}: {len(failures)} failures; {'; '.join(figures[-2:])}")
    return Outcome(trials, "; ".join(figures[-2:]) + f" (last round); seed {seed}", failures)


def bite(seed, say):
    with tempfile.TemporaryDirectory(prefix="things-front-") as name:
        return Outcome(1, "", behind_nginx(pathlib.Path(name), random.Random(seed), [], sabotage=True))


def behind_nginx(folder, chance, figures, sabotage=False):
    with Simulator(folder, fleet(DEVICES)) as platform:
        ca = Authority(folder)
        with Nginx(folder, platform, *ca.issue("127.0.0.1")) as front:
            with Site(folder, platform, devices=DEVICES, interval_ms=50, url=front.url, ca_file=ca.file, **TIMES) as site:
                site.start()
                failures = site.settle("HTTP/2")
                if sabotage:
                    front.configure(handler="return 202;")
                    meet(front, ENOUGH)
                    front.configure()
                    return site.settle("readings taken away", 5)
                if site.repeats():
                    failures.append(f"{site.repeats()} readings came twice though nothing went wrong")
                for what, act in chance.sample(sorted(ACTS.items()), len(ACTS)):
                    act(front, site, platform)
                    failures += site.settle(what, 30)
                failures += bombed(front, site)
                requests = front.requests()
                versions = {version for _, version in requests}
                if versions != {"HTTP/2.0"}:
                    failures.append(f"spoken were {versions}")
                statuses = {status: sum(1 for found, _ in requests if found == status) for status, _ in requests}
                figures.append(f"{len(requests)} posts over HTTP/2 through nginx, statuses {statuses}, {site.repeats()} readings "
                               f"repeated, widest gap in polling {site.widest_gap():.2f} s")
                return failures


def meet(front, count):
    first = len(front.requests())
    wait_until(lambda: len(front.requests()) >= first + count, f"{count} more requests", 30)


def reloads(front, site, platform):
    for _ in range(5):
        front.configure()
        meet(front, 10)


def killed(front, site, platform):
    for _ in range(3):
        front.kill()
        front.start()
        meet(front, 10)


def closes_old_connections(front, site, platform):
    front.configure(server="keepalive_requests 3;")
    meet(front, ENOUGH)
    front.configure()


def closes_idle_connections(front, site, platform):
    front.configure(server="keepalive_timeout 0;")
    meet(front, ENOUGH)
    front.configure()


def refuses_large_bodies(front, site, platform):
    """A backlog must leave in packs that are small enough."""
    front.configure(location="client_max_body_size 600;")
    meet(front, ENOUGH)
    platform.behave(kind="down")
    first = len(site.plc.reads)
    wait_until(lambda: len(site.plc.reads) > first + 60 * DEVICES, "a backlog", 60)
    platform.behave(kind="up")
    wait_until(lambda: any(status == 413 for status, _ in front.requests()), "a body is too large", 30)
    meet(front, ENOUGH)
    front.configure()


def no_platform(front, site, platform):
    """nginx says 502 for a while."""
    port = front.names["platform"]
    front.names["platform"] = free_port()
    front.configure()
    wait_until(lambda: front.requests()[-1][0] == 502, "a 502", 30)
    front.names["platform"] = port
    front.configure()


ACTS = {"reloads": reloads, "kills": killed, "old connections closed": closes_old_connections,
        "idle connections closed": closes_idle_connections, "413": refuses_large_bodies, "502": no_platform}


def bombed(front, site):
    """An answer of 4 MB that would be 1 GB, unasked for, to every post. What was posted meanwhile the server took."""
    before, kept = site.peak_kb(), set(site.served())
    front.configure(handler=BOMB)
    meet(front, ENOUGH)
    front.configure()
    meet(front, 10)
    first = len(site.plc.reads)
    failures = site.settle("after the bombs", 30, except_={(read.unit, read.value) for read in site.plc.reads[:first]} - kept)
    if not site.verdicts()["delivered_with_error"]:
        failures.append("no bomb was met")
    if site.peak_kb() - before > MEMORY:
        failures.append(f"bombs took {site.peak_kb() - before} kB of memory")
    return failures


def negotiate_anew(folder, figures):
    """A TLS 1.2 server that asks for a new handshake when it has the request, and answers only then; it sees one post after the
    other, and none may stop the gateway for longer than its timeout."""
    ca, port = Authority(folder), free_port()
    certificate, key = ca.issue("127.0.0.1")
    with Simulator(folder, fleet(1)) as platform:
        with Site(folder, platform, devices=1, interval_ms=100, url=f"https://127.0.0.1:{port}{PATH}", ca_file=ca.file,
                  **TIMES) as site:
            log = folder / "s_server.log"
            with open(log, "wb") as out:
                server = subprocess.Popen(["openssl", "s_server", "-accept", str(port), "-cert", certificate, "-key", key, "-tls1_2",
                                           "-crlf"], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
            try:
                site.start()
                posts = renegotiated = 0
                for _ in range(5):
                    wait_until(lambda: log.read_text(errors="replace").count("POST /") > posts, "a post", 20)
                    posts = log.read_text(errors="replace").count("POST /")
                    server.stdin.write(b"r\n")
                    server.stdin.flush()
                    time.sleep(0.3)
                    server.stdin.write(b"HTTP/1.1 202 Accepted\nContent-Length: 0\n\n")
                    server.stdin.flush()
                text = log.read_text(errors="replace")
                renegotiated = text.count("SSL_do_handshake -> 1")
            finally:
                server.kill()
                server.wait()
            verdicts = site.verdicts()
            figures.append(f"asked 5 times to negotiate anew: {renegotiated} done, verdicts {verdicts}")
            failures = [] if renegotiated else ["the server never asked"]
            return failures + ([f"polling stood still for {site.widest_gap():.2f} s"] if site.widest_gap() > 2 else [])
