# SPDX-License-Identifier: Apache-2.0
"""The real daemon between a Modbus TCP server and a stand-in for the platform, all on this machine, and what /proc says of
them. Everything is in a folder of its own that goes with it.

    with Field(folder, units=50) as field, Platform(folder) as platform:
        with Daemon(folder, configuration(folder, platform, field, fleet)) as daemon: ..."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import time

from support.gateway import Gateway, free_port
from support.simulator import BUILD, PATH

BENCH = BUILD / "tests/bench"
SECRET = "abcdefghijklmnopqrstuvwxyzABCD"
HOT = "/dev/shm"  # memory-backed, as /run is


def dvnuuid(number):
    """Of device 1, 2, ...; fill_queue makes the same."""
    return f"00000000-0000-4000-8000-{number:012x}"


@dataclasses.dataclass
class Fleet:
    devices: int = 50
    points: int = 10
    interval: str = "1s"
    sources: int = 1  # TCP connections; the devices are dealt out to them


def configuration(folder, platform, field, fleet, queue="", things="", batch="", hot=None, path=None):
    """YAML with everything at its default but what is given and where things are."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    url, ca_file = (platform.url, platform.ca_file) if platform else ("https://127.0.0.1:1/", folder / "cert.pem")
    text = f"""\
things: {{url: "{url}", ca_file: {ca_file}{things and ", " + things}}}
batch: {{{batch}}}
queue: {{path: {path or folder / "queue.db"}, hot_path: {hot or hot_path(folder)}{queue and ", " + queue}}}
time: {{require_sync: false}}
web: {{listen: "127.0.0.1:{free_port()}"}}
control: {{socket: {folder}/control.sock}}
sources:
"""
    for source in range(fleet.sources):
        text += f"  s{source}: {{plugin: modbus, host: 127.0.0.1, tcp_port: {field.port}, allow_overload: true}}\n"
    points = ", ".join(f"{{name: p{i}, unit: Cel, holding: {i}, type: int16, scale: 0.1}}" for i in range(fleet.points))
    text += f"profiles:\n  bench:\n    plugin: modbus\n    points: [{points}]\ndevices:\n"
    for number in range(1, fleet.devices + 1):
        text += (f"  - {{name: d{number}, dvnuuid: {dvnuuid(number)}, secret: {{file: secret}}, source: s{number % fleet.sources}, "
                 f"unit_id: {number}, interval: {fleet.interval}, profile: bench}}\n")
    return text


def hot_path(folder):
    return pathlib.Path(HOT) / f"{pathlib.Path(folder).name}-hot"


class Helper:
    """A program of the bench that prints its port first and ends with its input."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait(60)


class Field(Helper):
    def __init__(self, folder, units=50):
        self.log = folder / "arrivals"
        super().__init__(BENCH / "bench-field", units, self.log)

    def registers(self):
        """Given out so far."""
        self.process.stdin.write("count\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def arrivals(self):
        """(unit, microseconds of the monotonic clock) of every request; ends it."""
        self.end()
        with open(self.log) as lines:
            return [tuple(map(int, line.split())) for line in lines]


@dataclasses.dataclass
class Line:
    """What the platform had at a moment; see platform.cpp."""
    wall_ms: int
    posts: int
    readings: int
    bytes: int
    refused: int
    devices: int
    worst_age_ms: int
    median_age_ms: int
    connections: int


class Platform(Helper):
    def __init__(self, folder, plain=False, name="platform"):
        self.log = folder / name
        self.ca_file, self.key = make_certificate(folder)
        super().__init__(BENCH / "bench-platform", "-" if plain else SECRET, self.ca_file, self.key, self.log,
                         *(["plain"] if plain else []))
        self.url = f"{'http' if plain else 'https'}://127.0.0.1:{self.port}{PATH}"

    def lines(self):
        text = self.log.read_text()
        return [Line(*map(int, line.split())) for line in text[:text.rfind("\n") + 1].splitlines()]

    def newest(self):
        lines = self.lines()
        return lines[-1] if lines else Line(*[0] * len(dataclasses.fields(Line)))


def make_certificate(folder):
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    if not certificate.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        key, "-out", certificate, "-days", "2", "-subj", "/CN=bench", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return certificate, key


class Daemon(Gateway):
    """The gateway, started with its moments noted; `prefix` before its command line, `environment` beside the usual."""

    def __init__(self, folder, yaml, prefix=(), environment=None, patience=60):
        self.prefix, self.environment, self.patience = list(prefix), environment or {}, patience
        super().__init__(folder, yaml)

    def start(self, ready=True, seconds=None):
        self.notify.settimeout(0.5)
        environment = {**os.environ, **self.environment, "NOTIFY_SOCKET": str(self.folder / "notify.sock")}
        environment.pop("JOURNAL_STREAM", None)
        with open(self.log_file, "ab") as log:
            self.started = time.monotonic()
            self.process = subprocess.Popen([*self.prefix, *map(str, self.command("run"))], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=environment)
        while not self.says_ready():
            if self.process.poll() is not None or time.monotonic() > self.started + (seconds or self.patience):
                raise AssertionError(f"not ready:\n{self.log()[-3000:]}")
        self.ready = time.monotonic()
        return self

    def says_ready(self):
        try:
            return b"READY=1" in self.notify.recv(4096)
        except TimeoutError:
            return False

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        shutil.rmtree(hot_path(self.folder), ignore_errors=True)

    def status(self):
        return json.loads(self.run("status", "--json").stdout)


class Usage:
    """CPU seconds, memory and bytes written of a process and its threads, from now on."""

    def __init__(self, pid):
        self.pid = pid
        self.cpu_before, self.io_before, self.since = self.cpu(), self.io(), time.monotonic()

    def cpu(self):
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                pass  # ended meanwhile
        return total / 1e9

    def io(self):
        pairs = (line.split(": ") for line in pathlib.Path(f"/proc/{self.pid}/io").read_text().splitlines())
        return int(dict(pairs)["write_bytes"])

    def seconds(self):
        return time.monotonic() - self.since

    def cpu_used(self):
        return self.cpu() - self.cpu_before

    def written(self):
        return self.io() - self.io_before


def memory(pid):
    """MB: the most that was resident, resident now, private and written to now."""
    def kib(file, key):
        for line in pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1000
        return 0
    return {"peak": kib("status", "VmHWM"), "resident": kib("status", "VmRSS"), "private": kib("smaps_rollup", "Private_Dirty")}


def fill_queue(folder, devices, points, interval_ms, count, path=None):
    """Readings of an outage that ends now, put into the queue by its own code; what the filler said. Never in the real-time
    class (whole --alone): it would outrun the disk."""
    done = subprocess.run(["chrt", "--other", "0", BENCH / "fill_queue", path or folder / "queue.db", hot_path(folder), str(devices), str(points),
                           str(interval_ms), str(count)], check=True, capture_output=True, text=True)
    shutil.rmtree(hot_path(folder))  # the machine lost its power; everything is on flash
    return done.stdout.strip()


def quantile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]
