#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole daemon with 1,000 Modbus TCP devices of 10 points at 1 s against a server in one process, then with 100 of them
dead: beats missed, how far from its beat a sample was taken (in milliseconds, seen at the server), processor time, memory and
threads of the daemon.

    tests/bench/modbus_fleet.py [DEVICES [SECONDS]]"""

import os
import pathlib
import resource
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.gateway import Gateway, settings  # noqa: E402
from support.modbus_site import Fleet, ModbusSite, read_accepted, wrong_values  # noqa: E402
from support.simulator import Simulator, wait_until  # noqa: E402

POINTS = 10


def status(pid, *keys):
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return [int(lines[key].split()[0]) for key in keys]


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lateness(accepted, begin, seconds):
    """Per device the milliseconds after its beat at which the server was asked, and the beats that were missed. A device whose
    beat falls on the edge of the time that was looked at may have one more or one less."""
    served = {}
    for device, name, time_, text in accepted:
        if name == "p0" and begin <= time_ < begin + seconds:
            served.setdefault(device, set()).add(int(float(text)) & 0xFFFFFFFF)
    late, missed = [], 0
    for times in served.values():
        beats = [round((ms - min(times)) / 1000) for ms in times]
        offsets = [ms - min(times) - 1000 * beat for ms, beat in zip(times, beats)]
        late += [offset - min(offsets) for offset in offsets]
        missed += max(beats) + 1 - len(set(beats)) + max(0, seconds - 2 - max(beats))
    return sorted(late), missed, len(served)


def measure(devices, dead, seconds):
    with tempfile.TemporaryDirectory(prefix="things-fleet-", dir="/dev/shm") as name, ModbusSite() as site:
        folder = pathlib.Path(name)
        fleet = Fleet(folder)
        port, silent = site.tcp("plc", clients=4096), site.tcp("dead", clients=4096)
        site.ask("mute dead 1")
        for number in range(devices):
            fleet.source(f"s{number}", f"host: 127.0.0.1, tcp_port: {silent if number < dead else port}")
            fleet.device(f"s{number}", 1, "1s", count=POINTS)
        with Simulator(folder, fleet.platform_devices) as platform:
            with Gateway(folder, settings(folder, platform, max_age="10s") + fleet.yaml()) as gateway:
                wait_until(lambda: len({d for d, *_ in read_accepted(platform)}) == devices - dead, "all were read", 90, 0.5)
                pid = gateway.process.pid
                begin, used = time.time(), cpu(pid)
                before = status(pid, "VmRSS", "Threads")
                time.sleep(seconds)
                used = cpu(pid) - used
                after = status(pid, "VmRSS", "Threads")
                time.sleep(13)  # the last packs
                accepted = read_accepted(platform)
        late, missed, seen = lateness(accepted, begin, seconds)
        wrong = wrong_values(accepted, fleet.units, 6)
    readings = sum(1 for _, _, t, _ in accepted if begin <= t < begin + seconds)
    print(f"{devices} devices, {dead} dead: {readings} readings in {seconds} s, {missed} of {seen * seconds} beats missed, "
          f"{len(wrong)} wrong; start of a sample p50 {late[len(late) // 2]} ms, p99 {late[len(late) * 99 // 100]} ms, max "
          f"{late[-1]} ms; {used / seconds * 100:.1f} % of a core, {used * 1e6 / readings:.1f} us a reading; "
          f"{before[0] / 1024:.1f} -> {after[0] / 1024:.1f} MiB, {before[1]} -> {after[1]} threads", flush=True)


def main():
    devices = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, most), most))
    measure(devices, 0, seconds)
    measure(devices, devices // 10, seconds)


if __name__ == "__main__":
    main()
