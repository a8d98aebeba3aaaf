#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long 500 devices over 20 sources take to be checked, and from exec to READY, as whole processes; once as a table
with a profile, once with all 10,000 points in YAML. Wall time and processor time, median and worst of several runs.

    tests/bench/fleet_bench.py [RUNS] [CHECK_MS START_MS]     exits 1 if a median of wall time is above its limit

Every start finds the queue of the run before. Run it on an idle machine; THINGS_BUILD names another build.
"""

import pathlib
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.fleet import Fleet  # noqa: E402
from support.gateway import Gateway, settings  # noqa: E402
from support.modbus_server import ModbusServer  # noqa: E402
from support.simulator import Simulator  # noqa: E402


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check(gateway):
    before, begin = cpu(), time.monotonic()
    done = subprocess.run(gateway.command("check"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    spent = time.monotonic() - begin
    if done.returncode != 0:
        sys.exit(done.stderr.decode()[:2000])
    return spent, cpu() - before


def start(gateway):
    """Blocks in recv, so that waiting costs nothing and is not rounded."""
    gateway.notify.setblocking(True)
    gateway.notify.settimeout(10)
    begin = time.monotonic()
    gateway.start(ready=False)
    while b"READY=1" not in gateway.notify.recv(4096):
        pass
    spent = time.monotonic() - begin
    used = pathlib.Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait(20)
    gateway.notify.setblocking(False)
    while True:
        try:
            gateway.notify.recv(4096)
        except BlockingIOError:
            break
    return spent, (int(used[11]) + int(used[12])) / 100


def report(what, runs, limit):
    wall, used = [1000 * w for w, _ in runs], [1000 * c for _, c in runs]
    print(f"{what:<28} {statistics.median(wall):6.0f} ms median, {max(wall):6.0f} ms worst, "
          f"{statistics.median(used):6.0f} ms of processor time", flush=True)
    return statistics.median(wall) <= limit


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    check_limit, start_limit = (float(a) for a in sys.argv[2:4]) if len(sys.argv) > 3 else (1e9, 1e9)
    good = True
    with ModbusServer() as plc:
        for way in ("table", "in_full"):
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                fleet = Fleet(folder, [plc.port] * 20)
                with Simulator(folder, fleet.known()) as platform:
                    yaml = settings(folder, platform, max_age="60s") + fleet.sources() + getattr(fleet, way)()
                    with Gateway(folder, yaml.replace("log: {level: debug}\n", ""), start=False) as gateway:
                        good &= report(f"check, {way}", [check(gateway) for _ in range(runs)], check_limit)
                        good &= report(f"exec to READY, {way}", [start(gateway) for _ in range(runs)], start_limit)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
