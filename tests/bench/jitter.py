# SPDX-License-Identifier: Apache-2.0
"""How far from its beat a sample starts, seen at the Modbus server: 10 connections at 10 Hz, first idle, then while a full
queue drains and every fsync takes 500 ms longer. Beside it how late a bare timer of the Modbus server's process is at the
same time: what the machine itself adds."""

import time

from bench.rig import BENCH, Daemon, Field, Fleet, Platform, configuration, fill_queue, quantile

DEVICES, BEAT_US, TIMER_US = 10, 100_000, 10_000
SECONDS = 25


def run(new_folder, say, seconds=SECONDS):
    figures = {"idle": measure(new_folder(), seconds), "drain and slow fsync": measure(new_folder(), seconds, is_busy=True)}
    for name, figure in figures.items():
        say(f"{name}: " + ", ".join(f"{key} {value:,.4g}" for key, value in figure.items()))
    return figures


def measure(folder, seconds, is_busy=False):
    environment = {}
    if is_busy:
        fill_queue(folder, DEVICES, 10, 100, 864_000)  # a day of this fleet: more than leaves in that time
        environment = {"LD_PRELOAD": str(BENCH / "libslow_sync.so"), "THINGS_SYNC_MS": "500"}
    with Field(folder, DEVICES) as field, Platform(folder) as platform:
        yaml = configuration(folder, platform, field, Fleet(DEVICES, 10, "100ms", DEVICES), batch="max_age: 1s")
        with Daemon(folder, yaml, environment=environment) as daemon:
            time.sleep(2)
            begin = time.monotonic()
            before = platform.newest()
            time.sleep(seconds)
            end, after = time.monotonic(), platform.newest()
            left = daemon.status()["queue"]["queued"]
            daemon.stop()
        arrivals = [a for a in field.arrivals() if begin <= a[1] / 1e6 <= end]
    late, missed = lateness([a for a in arrivals if a[0]], BEAT_US)
    bare, _ = lateness([a for a in arrivals if not a[0]], TIMER_US)
    return {"timer_p99_ms": quantile(bare, 0.99) / 1000, "timer_max_ms": max(bare) / 1000, "p50_ms": quantile(late, 0.5) / 1000,
            "p99_ms": quantile(late, 0.99) / 1000, "max_ms": max(late) / 1000, "missed": missed, "samples": len(late),
            "drained_per_s": (after.readings - before.readings) / seconds, "queued_at_end": left}


def lateness(arrivals, beat_us):
    """Microseconds after its beat of every sample, and how many beats had none. The beat of a unit is where its earliest
    sample fits."""
    late, missed = [], 0
    units = {}
    for unit, us in arrivals:
        units.setdefault(unit, []).append(us)
    for times in units.values():
        first = times[0]
        offsets = [us - first - beat_us * round((us - first) / beat_us) for us in times]
        base = min(offsets)
        late += [offset - base for offset in offsets]
        beats = [round((us - first) / beat_us) for us in times]
        missed += beats[-1] - beats[0] + 1 - len(set(beats))
    return late, missed
