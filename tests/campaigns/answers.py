# SPDX-License-Identifier: Apache-2.0
"""Mutated and hostile answers to the posts of real devices, over HTTPS.

None of them asks for anything that is allowed, so nothing may reach the bus. The gateway's debug log must have a line with
a reason for each answer, in order and with its size; it must live on, keep its memory, and carry out a proper downlink
afterwards."""

import collections
import pathlib
import random
import re
import tempfile
import time

from campaigns.outcome import Outcome
from support.gateway import Gateway, settings
from support.modbus_server import ModbusServer
from support.simulator import Simulator, numbered, wait_until

ROWS = "24"
TRIALS = {"ci": 600, "hand": 10_000}
BUG = "limits left out of the configuration"
SECRET = "abcdefghijklmnopqrstuvwxyzABCD"
LIMITS = "{min: 60000, max: 60001}"
GROWTH = 3000  # kB that the gateway may grow by once it is warm: the audit in memory and what malloc keeps
HUGE = 10_000_000
MOST_HUGE = 10
MOST_READ = 65536  # larger answers break off


def run(trials, seed, say):
    return play(trials, seed, say, LIMITS)


def bite(seed, say):
    return play(200, seed, say, "true")


def play(trials, seed, say, limits):
    seed = random.randrange(1 << 32) if seed is None else seed
    chance = random.Random(seed)
    fleet = numbered(32, SECRET)
    with tempfile.TemporaryDirectory(prefix="things-answers-") as name, ModbusServer() as plc:
        folder = pathlib.Path(name)
        secret = folder / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        with Simulator(folder, fleet) as platform, Gateway(folder, configuration(folder, platform, plc, fleet, limits)) as gateway:
            wait_until(lambda: platform.stats()["accepted_packs"] >= len(fleet), "all devices post", 60)
            sizes, warm, most = collections.defaultdict(list), 0, 0
            bodies = Bodies(chance, fleet)
            for number in range(trials):
                device = fleet[number % len(fleet)]
                body = bodies.next(device["dvnuuid"])
                sizes[device["name"]].append(len(body))
                platform.control("POST", "/downlinks", {"device": device["dvnuuid"], "hex": body.hex(), "status": chance.choice((200, 202))})
                if number % 320 == 319 or number == trials - 1:
                    wait_until(lambda: platform.stats()["downlinks_handed_over"] == number + 1, "all are handed over", 120)
                    most = max(most, memory(gateway))
                    warm = warm or memory(gateway) * (number >= trials // 5)
                if number % 2000 == 1999:
                    say(f"{number + 1} answers, {memory(gateway)} kB")
            wait_until(lambda: count_lines(gateway) >= trials, "each answer has its line", 10, 0.2) if limits == LIMITS else None
            failures, writes = judge(gateway, plc, sizes), len(plc.writes)
            grown = memory(gateway) - warm
            if grown > GROWTH:
                failures.append(f"grew by {grown} kB since the first fifth")
            if limits == LIMITS and not failures:
                failures += prove_alive(platform, plc, fleet[0])
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(bodies.kinds.items()))
            return Outcome(trials, f"{writes} writes, {grown} kB grown, at most {most} kB; {kinds}; seed {seed}", failures)


def configuration(folder, platform, plc, fleet, limits):
    text = settings(folder, platform, max_age="100ms")
    text += f"sources:\n  plc: {{plugin: modbus, host: 127.0.0.1, tcp_port: {plc.port}}}\n  fake: {{plugin: simulated}}\ndevices:\n"
    for unit, device in enumerate(fleet, 1):
        text += (f"  - {{name: {device['name']}, dvnuuid: {device['dvnuuid']}, secret: {{file: secret}}, source: plc, unit_id: {unit}, "
                 f"interval: 1h, points: [{{name: beat, source: fake, interval: 200ms}}, {{name: temperature, holding: 100}}, "
                 f"{{name: setpoint, unit: Cel, holding: 200, type: uint16, writable: {limits}}}]}}\n")
    return text


def memory(gateway):
    """Resident kB."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text())[1])


LINE = re.compile(r" debug (d\d+): an answer (?:of (\d+) bytes: (.+)|that broke off: (.+))")


def lines_of(gateway):
    return [match.groups() for match in map(LINE.search, gateway.log().splitlines()) if match]


def count_lines(gateway):
    return len(lines_of(gateway))


def judge(gateway, plc, sizes):
    failures = [f"written: {values} to unit {unit}, register {address}" for _, unit, _, address, values in plc.writes]
    if gateway.process.poll() is not None:
        return failures + [f"the gateway ended with {gateway.process.returncode}"]
    told = collections.defaultdict(list)
    for device, size, reason, broken in lines_of(gateway):
        told[device].append(int(size) if size else HUGE)
        if not (reason or broken or "").strip():
            failures.append(f"{device}: no reason for {size} bytes")
    for device, expected in sizes.items():
        expected = [size if size <= MOST_READ else HUGE for size in expected]
        if told[device] != expected:
            failures.append(f"{device}: {len(expected)} answers of {expected[:9]}..., but the log tells of {len(told[device])}: {told[device][:9]}...")
    return failures


def prove_alive(platform, plc, device):
    begin = time.monotonic()
    platform.downlink(device["dvnuuid"], [{"n": "setpoint", "u": "Cel", "v": 60001}])
    try:
        wait_until(lambda: plc.written(200) == [60001], "a proper downlink is carried out", 30)
    except AssertionError as error:
        return [str(error)]
    return [] if time.monotonic() - begin < 10 else ["a proper downlink took longer than 10 s"]


class Bodies:
    """Answers of which none may be carried out: no value of theirs is within 60000 and 60001."""

    def __init__(self, chance, fleet):
        self.chance, self.fleet = chance, fleet
        self.kinds = collections.Counter()
        self.huge = 0

    def next(self, own):
        kinds = (self.mutated, self.mutated, self.mutated, self.noise, self.deep, self.wrong_device, self.wrong_type,
                 self.huge_number, self.duplicate_key, self.must_understand, self.broken_text, self.large)
        kind = self.chance.choice(kinds)
        self.kinds[kind.__name__] += 1
        return kind(own)

    def record(self, own):
        value = self.chance.choice(("21", "-1", "2.15e1", "true", '"on"', "null", "59999.9", "60001.1", "1e9"))
        return f'{{"bn":"urn:dev:DVNUUID:{own}:","n":"setpoint","u":"Cel","v":{value}}}'

    def mutated(self, own):
        other = '{"n":"temperature","v":20}'
        text = bytearray(f'[{self.record(own)},{other},{{"n":"setpoint","v":20,"t":{self.chance.randrange(99)}}}]'.encode())
        for _ in range(self.chance.randint(1, 4)):
            at = self.chance.randrange(len(text))
            act = self.chance.randrange(5)
            if act == 0:
                del text[at:at + self.chance.randint(1, 8)]
            elif act == 1:
                text[at:at] = text[self.chance.randrange(len(text)):][:self.chance.randint(1, 40)]
            elif act == 2:
                text[at] = self.chance.randrange(256)
            elif act == 3:
                text[at:at] = self.chance.choice((b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\u0000", b"\\ud800", b"\xff", b"1e999", b"\0"))
            else:
                del text[at:]
            text = text or bytearray(b" ")
        return bytes(text)

    def noise(self, _):
        return self.chance.randbytes(self.chance.choice((1, 7, 100, 5000)))

    def deep(self, _):
        return self.chance.choice((b"[", b'{"a":', b'[{"v":')) * self.chance.choice((17, 1000, 20_000))

    def wrong_device(self, own):
        other = self.chance.choice([d["dvnuuid"] for d in self.fleet if d["dvnuuid"] != own] + ["0" * 36, "../" * 5])
        return f'[{{"bn":"urn:dev:DVNUUID:{other}:","n":"setpoint","v":60000}}]'.encode()

    def wrong_type(self, own):
        value = self.chance.choice(('"60000"', "true", "[60000]", '{"v":60000}', "null", '""'))
        return f'[{{"bn":"urn:dev:DVNUUID:{own}:","n":"setpoint","v":{value}}}]'.encode()

    def huge_number(self, own):
        value = self.chance.choice(("1e999", "-1e999", "9" * 400, "1" + "0" * 30, "18446744073709551615", "-9223372036854775808",
                                    "0." + "0" * 500 + "1", "1e-999", "4294967296", "65536", "125536"))
        return f'[{{"bn":"urn:dev:DVNUUID:{own}:","n":"setpoint","v":{value}}}]'.encode()

    def duplicate_key(self, own):
        key = self.chance.choice(('"v":60000', '"n":"setpoint"', '"u":"Cel"', '"bn":"urn:"', '"x":1,"x":2'))
        return f'[{{"bn":"urn:dev:DVNUUID:{own}:","n":"setpoint","u":"Cel","v":60000,{key},{key}}}]'.encode()

    def must_understand(self, own):
        key = self.chance.choice(("x_", "v_", "_", "bver_", "\\u0061_"))
        return f'[{{"bn":"urn:dev:DVNUUID:{own}:","n":"setpoint","v":60000,"{key}":1}}]'.encode()

    def broken_text(self, own):
        bad = self.chance.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80"))
        return b'[{"bn":"urn:dev:DVNUUID:' + own.encode() + b':","n":"setpoint","v":60000,"x":"' + bad + b'"}]'

    def large(self, own):
        pack = f'[{self.record(own)}'
        if self.huge < MOST_HUGE and self.chance.random() < 0.1:
            self.huge += 1
            return (pack + "," + " " * (HUGE - len(pack) - 2) + "]").encode()
        return (pack + f',{self.record(own)}' * self.chance.choice((101, 450)) + "]").encode()[:65_000] + b" "
