# SPDX-License-Identifier: Apache-2.0
"""One telegram a second at 115200 baud, byte by byte in real time, while every core is busy: none may be lost.

The oracle lies outside the gateway: a meter on a pty whose energy counter grows by one with each telegram, and what the
platform accepted of it. A byte that finds no room in the line's buffer is lost, as on a wire."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

from campaigns.outcome import Outcome
from support.gateway import Gateway, settings
from support.line import SerialLine
from support.simulator import Simulator

ROWS = "30"
TRIALS = {"ci": 12, "hand": 3600}
BUG = "64 bytes of a telegram lost on the line"
HOUSE = {"dvnuuid": "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40", "secret": "abcdefghijklmnopqrstuvwxyzABCD", "name": "house"}
SAMPLE = pathlib.Path(__file__).parents[1] / "plugins/p1/telegrams/nl-dsmr50-3ph-export-4mbus.txt"
ENERGY = b"1-0:1.8.1(002614.330*kWh)"


def run(trials, seed, say):
    del seed  # nothing here is random but the machine
    return play(trials, say)


def bite(seed, say):
    del seed
    return play(3, say, loses=1)


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def telegram(number):
    """A whole DSMR 5 telegram with a counter of `number` Wh, and its checksum."""
    text = SAMPLE.read_bytes()
    assert ENERGY in text
    text = text[:text.rindex(b"!") + 1].replace(ENERGY, b"1-0:1.8.1(%06d.%03d*kWh)" % divmod(number, 1000))
    return text + b"%04X\r\n" % crc16(text)


def busy(say):
    """Load for every core that gives way to others' work, but always wants more than there is."""
    say(f"{os.cpu_count()} cores are kept busy")
    return [subprocess.Popen(["nice", "-n", "10", sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count())]


def play(count, say, loses=None):
    with tempfile.TemporaryDirectory(prefix="things-p1-") as name, SerialLine() as line:
        folder = pathlib.Path(name)
        secret = folder / "secret"
        secret.write_text(HOUSE["secret"])
        secret.chmod(0o600)
        with Simulator(folder, [HOUSE]) as platform:
            # Each telegram is due for `energy`, one a second is wanted of `power`.
            yaml = settings(folder, platform, max_age="2s") + f"""
sources: {{meter: {{plugin: p1, port: {line.path}}}}}
devices:
  - {{name: house, dvnuuid: {HOUSE["dvnuuid"]}, secret: {{file: secret}}, source: meter, points: [
     {{name: energy, unit: Wh, obis: 1-0:1.8.1, interval: 100ms}}, {{name: power, unit: W, value: powerExport, interval: 1s}}]}}
"""
            with Gateway(folder, yaml) as gateway:
                load = busy(say)
                try:
                    latest, loads = send_all(line, count, loses, say)
                    accepted = wait_for(platform, count, 20 if loses is None else 3)
                finally:
                    for process in load:
                        process.kill()
                        process.wait()
                powers = len(stored(platform, "power"))
                ended = platform.process.poll()
                gateway.stop()
                damaged = gateway.log().count("telegram")
    missing = sorted(set(range(1, count + 1)) - accepted)
    failures = [f"telegram {number} did not arrive" for number in missing]
    failures += [f"{value} arrived and was never sent" for value in sorted(accepted - set(range(1, count + 1)))]
    if ended is not None:
        failures.append(f"the stand-in for the platform ended by itself with {ended}")
    if line.lost and loses is None:
        failures.append(f"{line.lost} bytes found no room: the line was not read in time")
    figure = (f"{len(accepted)} of {count} telegrams of {len(telegram(1))} bytes at the platform, {line.lost} bytes found no room, "
              f"{powers} powers at an interval of 1 s, {damaged} words on telegrams in the log, the line up to {latest * 1000:.0f} ms "
              f"late, load {min(loads):.1f} to {max(loads):.1f}")
    return Outcome(count, figure, failures)


def send_all(line, count, loses, say):
    """A telegram each second; how late the latest was, and the machine's load."""
    begin, latest, loads = time.monotonic(), 0.0, [os.getloadavg()[0]]
    for number in range(1, count + 1):
        time.sleep(max(0.0, begin + number - time.monotonic()))
        latest = max(latest, time.monotonic() - begin - number)
        text = telegram(number)
        line.send(text if number - 1 != loses else text[:400] + text[464:])
        if number % 60 == 0:
            loads.append(os.getloadavg()[0])
            if number % 600 == 0:
                say(f"{number} telegrams, {line.lost} bytes found no room, load {loads[-1]:.1f}")
    return latest, loads


def wait_for(platform, count, seconds):
    """The counter's values at the platform, once all are there or the time is over."""
    end = time.monotonic() + seconds
    while True:
        values = {int(value) for value in stored(platform, "energy")}
        if len(values) >= count or time.monotonic() > end:
            return values
        time.sleep(0.2)


def stored(platform, point):
    """The values of this point that the platform wrote to its file."""
    with open(platform.store) as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines if line.endswith("\n")]
    return [float(value) for _, _, _, name, _, _, value in rows if name == point]
