# SPDX-License-Identifier: Apache-2.0
"""Serial lines with byte timing and TCP devices, in a process of their own (modbus-site), and the judge of what a gateway
made of them: every value says which unit and register it is and when it was read.

    with ModbusSite() as site:
        port = site.line("cabinet", baud=19200, units=[1, 2, 3])
        site.ask("fault cabinet 2 silent")
"""

import pathlib
import subprocess
import threading
import uuid

from support.simulator import BUILD

POINTS = 3  # of a device: uint64 at holding register 0, 4, 8


class ModbusSite:
    def __init__(self):
        self.lock = threading.Lock()
        self.process = subprocess.Popen([BUILD / "tests/modbus-site"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()

    def ask(self, command):
        with self.lock:
            self.process.stdin.write(command + "\n")
            answer = self.process.stdout.readline().rstrip("\n")
        if not answer.startswith("ok"):
            raise AssertionError(f"{command}: {answer or 'the site is gone'}")
        return answer[3:]

    def line(self, name, baud=19200, units=(1,), turnaround_us=2000):
        """A serial line; the path of its port."""
        return self.ask(f"line {name} {baud} {turnaround_us} {' '.join(map(str, units))}")

    def tcp(self, name, units=(1,), framing="tcp", clients=100):
        """A TCP device; its port."""
        return int(self.ask(f"tcp {name} {framing} {clients} {' '.join(map(str, units))}"))

    def counts(self, name):
        """Requests so far, by unit."""
        return {int(unit): int(count) for unit, count in
                (pair.split(":") for pair in self.ask(f"counts {name}").split()[:-1])}


class Fleet:
    """Sources and devices for the gateway's configuration and for the platform."""
    SECRET = "abcdefghijklmnopqrstuvwxyzABCD"

    def __init__(self, folder):
        self.platform_devices, self.units, self.sources, self.text = [], {}, "", ""
        self.secret = pathlib.Path(folder) / "secret"
        self.secret.write_text(self.SECRET)
        self.secret.chmod(0o600)

    def source(self, name, keys):
        self.sources += f"  {name}: {{plugin: modbus, {keys}}}\n"

    def device(self, source, unit=1, interval="500ms", keys="", count=POINTS):
        """A device of so many points; its dvnuuid."""
        dvnuuid = str(uuid.UUID(int=len(self.units) + 1 + (4 << 76) + (8 << 60)))
        name = f"{source}-{unit}"
        self.platform_devices.append({"dvnuuid": dvnuuid, "secret": self.SECRET, "name": name})
        self.units[dvnuuid] = unit
        self.text += (f"  - {{name: {name}, dvnuuid: {dvnuuid}, secret: {{file: {self.secret}}}, source: {source}, "
                      f"unit_id: {unit}, interval: {interval}, {keys and keys + ', '}points: [{points(count)}]}}\n")
        return dvnuuid

    def yaml(self):
        return f"sources:\n{self.sources}devices:\n{self.text}"


def points(count):
    return ", ".join(f"{{name: p{i}, holding: {4 * i}, type: uint64}}" for i in range(count))


def read_accepted(platform):
    """(dvnuuid, name, time, value) of every accepted reading, from the platform's file."""
    return [(device, name, time_, value) for _, device, name, time_, value in platform.kept()]


def wrong_values(accepted, units, oldest):
    """What is said of readings whose value is another unit's, another register's, or was read at another time than it
    says: longer than `oldest` seconds before. `units` is the unit of each device. Pure."""
    wrong = []
    for device, name, time_, text in accepted:
        value = int(float(text)) if "." in text or "e" in text.lower() else int(text)
        unit, point = value >> 45, value >> 32 & 0x1FFF
        age = (round(time_ * 1000) - value) & 0xFFFFFFFF
        age = (age - (1 << 32) if age >> 31 else age) / 1000
        if unit != units[device] or f"p{point}" != name:
            wrong.append(f"{device} {name} at {time_:.3f}: the value of unit {unit}, p{point}")
        elif not -0.5 <= age <= oldest:
            wrong.append(f"{device} {name} at {time_:.3f}: a value {age:.3f} s old")
    return wrong


def beats(accepted, device, begin, end, name="p0"):
    """How many readings of this point were taken between two wall clock times."""
    return sum(1 for d, n, t, _ in accepted if d == device and n == name and begin <= t < end)
