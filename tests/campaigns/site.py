# SPDX-License-Identifier: Apache-2.0
"""What the campaigns about delivery share: a gateway whose devices are units of a Modbus device that answers each read
with a value of its own, so that every reading can be followed to the platform's file of what it accepted.

    with Site(folder, platform, devices=4) as site:
        site.start()
        ... a fault, and its cure ...
        failures = site.settle("after a reset")    # everything served by now has arrived, each once, at its time"""

import json
import pathlib
import time
import urllib.request

from support.gateway import Gateway, free_port, settings
from support.modbus_server import ModbusServer
from support.simulator import BUILD, numbered, wait_until

SECRET = "abcdefghijklmnopqrstuvwxyzABCD"
SHIMS = BUILD / "tests"
NEAR = 1.0  # seconds by which a stamp may lie outside of the exchange in which the value was read
DEVICE = ("  - {{name: d{unit}, dvnuuid: {id}, secret: {{file: secret}}, source: plc, unit_id: {unit}, "
          "interval: {interval}ms, points: [{{name: counter, holding: 0, type: uint32}}]}}\n")


def fleet(count):
    """Devices as the simulator wants them; the gateway knows them as d1, d2 ..."""
    return numbered(count, SECRET)


def accepted(platform):
    """(unit, value, time, arrived) of every accepted reading in order of arrival, from the platform's file."""
    return [(int(device[-12:], 16), int(float(value)), time_, arrived) for arrived, device, _, time_, value in platform.kept()]


def is_near(stamp, at, read):
    """`at` is when the server answered; a busy machine may have asked it, or taken the answer, seconds apart from that."""
    before, after = read.served - (read.asked or read.served), (read.taken or read.served) - read.served
    return at - before - NEAR <= stamp <= at + after + NEAR


class Site:
    def __init__(self, folder, platform, devices=4, interval_ms=200, shim=None, environment=None, **settings_):
        self.folder, self.platform = pathlib.Path(folder), platform
        secret = self.folder / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        self.plc = ModbusServer()
        self.plc.count_at(0)
        self.web_port = free_port()
        yaml = settings(self.folder, platform, web_port=self.web_port, **settings_)
        yaml += f"sources:\n  plc: {{plugin: modbus, host: 127.0.0.1, tcp_port: {self.plc.port}, timeout: 10s}}\ndevices:\n"
        yaml += "".join(DEVICE.format(unit=unit, id=device["dvnuuid"], interval=interval_ms)
                        for unit, device in enumerate(fleet(devices), 1))
        self.gateway = Gateway(self.folder, yaml, start=False)
        self.gateway.environment = {**(environment or {}), **(preload(shim) if shim else {})}
        self.judged = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gateway.__exit__()
        self.plc.close()

    def start(self):
        self.gateway.start()
        return self

    def status(self):
        """The document of the page, or where that is out of reach (in another network namespace) of the command line."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/api/v1/status", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return json.loads(self.gateway.run("status", "--json").stdout)

    def served(self):
        """(unit, value) -> Read, of what the gateway had certainly taken: it asked for more afterwards."""
        return {(read.unit, read.value): read for read in list(self.plc.reads) if read.taken}

    def settle(self, what, seconds=30, wall=None, except_=frozenset()):
        """Failures, one line each. `wall`: the times that a reading of this Read may carry, if not the machine's;
        `except_`: what need not arrive."""
        wait_until(self.served, f"{what}: something was read")
        due = {key: read for key, read in self.served().items() if key not in except_}
        end = time.monotonic() + seconds
        while True:
            arrived = accepted(self.platform)
            missing = due.keys() - {(unit, value) for unit, value, _, _ in arrived}
            if not missing or time.monotonic() > end:
                break
            time.sleep(0.05)
        failures = [f"{what}: {len(missing)} of {len(due)} readings did not arrive within {seconds} s, such as "
                    f"{min(missing)}; {self.last_words()}"] if missing else []
        everything = {(read.unit, read.value): read for read in list(self.plc.reads)}
        times = {}
        for unit, value, at, _ in arrived:
            times.setdefault((unit, value), []).append(at)
        for key, stamps in times.items():
            if key in self.judged:
                continue
            read = everything.get(key)
            expected = [] if read is None else wall(read) if wall else [read.wall]
            if read is None:
                failures.append(f"{what}: {key} was never served")
            elif max(stamps) - min(stamps) > 0.0015:
                failures.append(f"{what}: {key} arrived with the times {stamps}")
            elif not any(is_near(stamps[0], at, read) for at in expected):
                failures.append(f"{what}: {key} carries {stamps[0]}, was served at {' or '.join(map(str, expected))}")
            else:
                continue
            self.judged.add(key)
        return failures[:10] + self.check_books(what)

    def check_books(self, what):
        queue = self.status()["queue"]
        dropped = sum(queue["dropped"].values())
        if queue["read"] == queue["accepted"] + queue["queued"] + queue["dead"] + dropped:
            return []
        return [f"{what}: the books do not balance: {queue}"]

    def widest_gap(self, since=0.0):
        """Seconds between two reads of one unit, at worst, from that monotonic time on."""
        widest, last = 0.0, {}
        for read in list(self.plc.reads):
            if read.unit in last and last[read.unit] >= since:
                widest = max(widest, read.served - last[read.unit])
            last[read.unit] = read.served
        return widest

    def repeats(self):
        found = accepted(self.platform)
        return len(found) - len({(unit, value) for unit, value, _, _ in found})

    def verdicts(self):
        return self.status()["uplink"]["answers"]

    def last_words(self):
        try:
            return "; ".join(sorted({d["last_answer"] for d in self.status()["devices"]}))
        except (ValueError, OSError, KeyError):
            return self.gateway.log()[-300:]

    def peak_kb(self):
        with open(f"/proc/{self.gateway.process.pid}/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def preload(name, **more):
    """Environment of a program that runs with this shim."""
    return {"LD_PRELOAD": str(SHIMS / f"{name}.so"), **more}


def send(site, unit=1, *options):
    """What `send` found out, with the daemon or without."""
    done = site.gateway.run("send", f"d{unit}", "--json", *options, seconds=150)
    if not done.stdout.strip():
        raise AssertionError(f"send ended with {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout)
