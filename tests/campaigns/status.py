# SPDX-License-Identifier: Apache-2.0
"""Every status from 200 to 599 and 999, each to a device of its own, Retry-After in all forms, redirects, storms.

One gateway with a device for each status: its first post gets that status once, and what becomes of the device is held
against the table of the design. Then the forms of Retry-After, each to a device of its own; then `send`, which must say in
words what the status means; then a storm. The evil host to which redirects point must never be called."""

import pathlib
import random
import socket
import tempfile
import time

from campaigns.outcome import Outcome
from campaigns.site import SECRET, Site, accepted, fleet, send
from support.simulator import Simulator, token, wait_until

ROWS = "13"
TRIALS = {"ci": 1, "hand": 50}  # rounds; a single one has a sample of the statuses
BUG = "every status taken for a 202"
# 204 has no body, which alone would make it an acceptance; 2xx other than 202 come with a pack for somebody else.
STATUSES = [*range(200, 204), *range(205, 300), *range(400, 600), 999]
PACK = '[{"bn":"urn:dev:DVNUUID:other:","n":"x","v":1}]'
REDIRECTS = [300, 301, 302, 303, 304, 305, 306, 307, 308, 399]
PARKING = (401, 403, 404)
IMPORTANT = [200, 202, 206, 299, 400, 401, 403, 404, 408, 409, 411, 413, 415, 422, 425, 429, 500, 502, 503, 504, 599, 999]
UNITS = 201  # a Modbus line has no more than 255
WORDS = {200: "accepted the pack", 202: "accepted the pack", 299: "accepted the pack", 302: "never followed", 307: "never followed",
         400: "dry-run", 401: "Shared Secret", 403: "Portal", 404: "DvnUUID", 408: "link", 409: "dry-run", 413: "smaller packs",
         425: "link", 429: "things.min_interval", 500: "problem of its own", 502: "problem of its own", 503: "problem of its own",
         599: "problem of its own", 999: "problem of its own"}
HOUR = 3600
# Form, and the seconds from the answer to the next post: at least, at most (with room for the jitter of the back-off, up to 1 s).
FORMS = [("0", 0, 2), ("1", 1, 4), ("2", 2, 5), (str(HOUR), HOUR, HOUR), ("31536000", HOUR, HOUR),
         ("99999999999999999999", HOUR, HOUR), ("-5", 0, 2), ("soon", 0, 2), ("1.5", 0, 2), ("", 0, 2), ("3 seconds", 0, 2),
         ("date", 1, 5), ("past", 0, 2), ("far", HOUR, HOUR), ("rfc850", 1, 5), ("asctime", 1, 5), ("3, 5", 0, 2)]
PATIENCE = 7  # a post that did not come within this is taken for one that waits the hour


class EvilHost:
    """Takes note of who calls."""

    def __init__(self):
        self.calls = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.location = f"https://127.0.0.1:{self.listener.getsockname()[1]}/ingestion/ip/senml/v1"

    def count(self):
        while True:
            try:
                self.listener.accept()[0].close()
                self.calls += 1
            except BlockingIOError:
                return self.calls


def run(trials, seed, say):
    failures, figures = [], []
    evil = EvilHost()
    seed = seed or random.randrange(1 << 31)
    chance = random.Random(seed)
    statuses = STATUSES if trials > 1 else sorted({*IMPORTANT, *chance.sample(STATUSES, 30)})
    for number in range(trials):
        failures += play(evil, statuses, chance, figures, with_words=number == 0)
        say(f"{number + 1} rounds, {len(failures)} failures")
    if evil.count():
        failures.append(f"the host that redirects point to was called {evil.calls} times")
    done = trials * (len(statuses) + len(FORMS) + len(REDIRECTS)) + len(WORDS)
    return Outcome(done, f"{trials} x ({len(statuses)} statuses, {len(FORMS)} forms of Retry-After, {len(REDIRECTS)} redirects, a storm), "
                   f"{len(WORDS)} explanations; {figures[-1]}, evil host called {evil.calls} times, seed {seed}", failures)


def bite(seed, say):
    failures = []
    with tempfile.TemporaryDirectory(prefix="things-status-") as name:
        failures += every_status(pathlib.Path(name), [500, 503, 404], "careless_curl", {"CARELESS": "status"})
    with tempfile.TemporaryDirectory(prefix="things-status-") as name:
        evil = EvilHost()
        redirects(pathlib.Path(name), evil, [307, 308], "careless_curl", {"CARELESS": "redirect"})
        bitten = failures and evil.count()
    return Outcome(5, "", failures if bitten else [])


def play(evil, statuses, chance, figures, with_words):
    failures = []
    for part in (lambda folder: every_status(folder, statuses), retry_after, lambda folder: redirects(folder, evil),
                 *([explanations] if with_words else []), lambda folder: storm(folder, chance, figures)):
        with tempfile.TemporaryDirectory(prefix="things-status-") as name:
            failures += part(pathlib.Path(name))
    return failures


def platform_for(folder, count):
    return Simulator(folder, fleet(count))


def every_status(folder, statuses, shim=None, environment=None):
    """Each status once to a device of its own. The Modbus device is read once and then, after the answers, once more."""
    if len(statuses) > UNITS:
        inner = folder / "rest"
        inner.mkdir()
        return every_status(folder, statuses[:UNITS]) + every_status(inner, statuses[UNITS:])
    failures = []
    devices = fleet(len(statuses))
    with platform_for(folder, len(statuses)) as platform:
        for device, status in zip(devices, statuses):
            kind = "accept" if status < 300 else "status"
            platform.behave(kind=kind, status=status, body=PACK if status < 300 and status != 202 else "", device=device["dvnuuid"],
                            count=1)
        with Site(folder, platform, devices=len(statuses), interval_ms=1000, max_age="2500ms", shim=shim, environment=environment,
                  retry="{initial: 50ms, max: 200ms}") as site:
            site.start()
            wait_until(lambda: platform.stats()["played"] + sum(s < 300 for s in statuses) >= len(statuses),
                       "every status was answered", 60)
            due = {unit: [value for (u, value) in site.served() if u == unit] for unit in range(1, len(statuses) + 1)}
            kept = [unit for unit, status in enumerate(statuses, 1) if status not in PARKING]
            end = time.monotonic() + (2 if shim else 30)
            while True:
                arrived = {(unit, value) for unit, value, _, _ in accepted(platform)}
                late = [unit for unit in kept if not all((unit, value) in arrived for value in due[unit])]
                # A single reading that was refused is tried alone a minute later.
                late = [unit for unit in late if not (400 <= statuses[unit - 1] < 500 and statuses[unit - 1] not in
                                                      (408, 413, 425, 429) and len(due[unit]) <= 1)]
                if not late or time.monotonic() > end:
                    break
                time.sleep(0.1)
            failures += [f"status {statuses[unit - 1]}: readings {due[unit]} did not arrive" for unit in late]
            states = {d["name"]: d["state"] for d in site.status()["devices"]}
            for unit, status in enumerate(statuses, 1):
                if states[f"d{unit}"].startswith("parked") != (status in PARKING):
                    failures.append(f"status {status}: the device is {states[f'd{unit}']}")
            if site.repeats():
                failures.append(f"{site.repeats()} readings arrived twice though every answer was whole")
            failures += site.check_books("every status")
            if SECRET in site.gateway.log():
                failures.append("the secret is in the log")
    return failures


def http_date(form, seconds):
    at = time.gmtime(time.time() + seconds)
    return time.strftime({"rfc850": "%A, %d-%b-%y %H:%M:%S GMT", "asctime": "%a %b %e %H:%M:%S %Y"}.get(
        form, "%a, %d %b %Y %H:%M:%S GMT"), at)


def retry_after(folder):
    """500 with each form to a device of its own, so that only that device waits."""
    failures = []
    with platform_for(folder, len(FORMS)) as platform:
        with Site(folder, platform, devices=len(FORMS), interval_ms=200, max_age="200ms") as site:
            for device, (form, _, _) in zip(fleet(len(FORMS)), FORMS):
                text = {"date": lambda: http_date("date", 3), "past": lambda: http_date("date", -100),
                        "far": lambda: http_date("date", 10 * HOUR), "rfc850": lambda: http_date("rfc850", 3),
                        "asctime": lambda: http_date("asctime", 3)}.get(form, lambda: form)()
                platform.behave(status=500, retry_after=text, device=device["dvnuuid"], count=1)
            site.start()
            refused = {}

            def look():
                waiting = {b["device"] for b in platform.control("GET", "/behaviour")["behaviours"] if not b["used"]}
                for unit, device in enumerate(fleet(len(FORMS)), 1):
                    if device["dvnuuid"] not in waiting:
                        refused.setdefault(unit, time.time())
                return not waiting

            wait_until(look, "every form was answered", 30)
            # Every first arrival tells when the device was let go.
            wait_until(lambda: time.time() > max(refused.values()) + PATIENCE, "those that wait for an hour wait", PATIENCE + 5)
            first = {}
            for unit, _, _, at in accepted(platform):
                first.setdefault(unit, at)
            now = {d["name"]: d for d in site.status()["devices"]}
            for unit, (form, least, most) in enumerate(FORMS, 1):
                waited = first.get(unit, refused[unit] + HOUR) - refused[unit]
                if least == HOUR:
                    if unit in first:
                        failures.append(f"Retry-After {form}: came back after {waited:.1f} s")
                elif unit not in first or not least - 1 <= waited <= most + 2:
                    failures.append(f"Retry-After {form}: next post after {waited:.1f} s, {now[f'd{unit}']['last_answer']}")
            failures += site.check_books("Retry-After")
    # And for the whole uplink, by 429 and 503.
    for number, status in enumerate(random.sample((429, 503), 1)):
        inner = folder / str(number)
        inner.mkdir()
        with platform_for(inner, 3) as platform, Site(inner, platform, devices=3, interval_ms=200, max_age="200ms") as site:
            site.start()
            wait_until(lambda: len({unit for unit, *_ in accepted(platform)}) == 3, "all devices send")
            platform.behave(status=status, retry_after="3", count=1)
            wait_until(lambda: platform.stats()["played"] == 1, "the pause was asked for")
            begin = time.time()
            wait_until(lambda: any(at > begin + 0.5 for *_, at in accepted(platform)), "the uplink goes on", 15)
            after = min(at for *_, at in accepted(platform) if at > begin + 0.5) - begin
            if not 2.5 <= after <= 6:
                failures.append(f"{status} with Retry-After 3: the next pack came after {after:.1f} s")
            failures += site.settle(f"{status} with Retry-After")
    return failures


def redirects(folder, evil, statuses=REDIRECTS, shim=None, environment=None):
    """Each 3xx to `send`, which must not follow; one to the daemon, which must stop and say so."""
    failures = []
    with platform_for(folder, 2) as platform, Site(folder, platform, devices=2, shim=shim, environment=environment,
                                                   max_age="200ms") as site:
        for status in statuses:
            platform.behave(status=status, location=evil.location, count=1)
            answer = send(site)
            if answer["accepted"] or (status != 304 and "never followed" not in answer["answer"]):
                failures.append(f"send, status {status}: {answer}")
        if shim:
            return failures
        site.start()
        wait_until(lambda: len(accepted(platform)) > 2, "packs are accepted")
        platform.behave(status=307, location=evil.location, count=1)
        wait_until(lambda: any("misdirected" in alarm["key"] for alarm in site.status()["alarms"]), "an alarm was raised", 20)
        before = len(accepted(platform))
        site.gateway.run("send", "d1")  # an operator who asks is heard at once
        wait_until(lambda: len(accepted(platform)) > before, "the uplink goes on once the redirect is gone", 20)
        failures += site.settle("a redirect")
    return failures


def explanations(folder):
    """What `send` says, without the daemon and with it, and that --dry-run sends nothing and signs rightly."""
    failures = []
    with platform_for(folder, 2) as platform, Site(folder, platform, devices=2) as site:
        dry = site.gateway.run("send", "d1", "--dry-run")
        head, _, body = dry.stdout.strip().partition("\n\n")
        if f"Things-Message-Token: {token(body.encode(), SECRET)}" not in head or platform.stats()["requests"]:
            failures.append(f"send --dry-run: {dry.stdout}")
        for with_daemon in (False, True):
            if with_daemon:
                site.start()
            for status, words in WORDS.items():
                if with_daemon and (status in (302, 307, 400, 409) or status > 204 and status < 300):
                    continue  # these pause or search for a minute and more; the other parts have them
                device = fleet(2)[0]["dvnuuid"]
                platform.behave(kind="accept" if status < 300 else "status", status=status, device=device, count=1,
                                location="https://evil.example/", body=PACK if status in (200, 299) else "")
                answer = send(site)
                is_taken = status < 300
                if not with_daemon and (answer["accepted"] != is_taken or answer["status"] != status):
                    failures.append(f"send, status {status}: {answer}")
                if not with_daemon and words not in answer["answer"]:
                    failures.append(f"send, status {status}: \"{words}\" is not in \"{answer['answer']}\"")
                if SECRET in str(answer):
                    failures.append(f"send, status {status}: the secret is in the answer")
                platform.control("DELETE", "/behaviour")
    return failures


def storm(folder, chance, figures):
    """503 to everybody for a while: few posts, few lines, and then everything arrives."""
    failures = []
    seconds = 4
    with platform_for(folder, 20) as platform, Site(folder, platform, devices=20, interval_ms=500) as site:
        site.start()
        wait_until(lambda: len({unit for unit, *_ in accepted(platform)}) == 20, "all devices send")
        lines, peak, played = site.gateway.log().count("\n"), site.peak_kb(), platform.stats()["played"]
        platform.behave(status=chance.choice([500, 502, 503, 504, 429, 408]), count=0)
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() > begin + seconds, "the storm is over", seconds + 5)
        posts = platform.stats()["played"] - played
        told = [line for line in site.gateway.log().splitlines()[lines:] if " debug" not in line]
        platform.control("DELETE", "/behaviour")
        failures += site.settle("a storm")
        # With waits between 0 and 1 s (0.5 on average) one probe at a time, after the first answer of each device.
        if posts > 20 + 6 * seconds + 20:
            failures.append(f"{posts} posts in {seconds} s of a storm")
        if len(told) > 30:
            failures.append(f"{len(told)} log lines in {seconds} s of a storm")
        figures.append(f"storm of {seconds} s and 20 devices: {posts} posts, {len(told)} log lines, "
                       f"memory +{site.peak_kb() - peak} kB")
    return failures
