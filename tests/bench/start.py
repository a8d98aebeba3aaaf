# SPDX-License-Identifier: Apache-2.0
"""From exec to READY and to the first sample, with an empty queue and with 500,000 packs of ten readings on flash; and how
long a stop takes, with a platform that answers and with one that does not."""

import socket
import statistics

from bench.rig import Daemon, Field, Fleet, Platform, configuration, fill_queue

DEVICES, POINTS, PACKS = 50, 10, 500_000
TIMES = 7


def run(new_folder, say, packs=PACKS, times=TIMES):
    figures = {"empty queue": measure(new_folder(), 0, times), f"{packs} packs queued": measure(new_folder(), packs, times)}
    for name, figure in figures.items():
        say(f"{name}: " + ", ".join(f"{key} {value:,.4g}" for key, value in figure.items()))
    return figures


def measure(folder, packs, times):
    if packs:
        fill_queue(folder, DEVICES, POINTS, 10_000, packs // DEVICES)
    ready, sample, stop, stop_dead = [], [], [], []
    for turn in range(times):
        with Field(folder, DEVICES) as field, socket.create_server(("127.0.0.1", 0)) as dead:
            with Platform(folder) as platform:
                answers = turn % 2 == 0
                if not answers:  # takes the connection and never says a word
                    platform.url = f"https://127.0.0.1:{dead.getsockname()[1]}/"
                # Packs that are not due: what is stopped holds readings that were not sent.
                yaml = configuration(folder, platform, field, Fleet(DEVICES, POINTS, "1s"), things="parallel: 1")
                with Daemon(folder, yaml) as daemon:
                    while field.registers() < 3 * DEVICES * POINTS:
                        pass
                    code, took = daemon.stop()
                    if code != 0:
                        raise AssertionError(f"ended with {code}: " + daemon.log()[-2000:])
                    (stop if answers else stop_dead).append(took)
            ready.append(daemon.ready - daemon.started)
            sample.append(min(us for unit, us in field.arrivals() if unit) / 1e6 - daemon.started)
    return {"ready_ms": statistics.median(ready) * 1000, "worst_ready_ms": max(ready) * 1000,
            "first_sample_ms": statistics.median(sample) * 1000, "worst_first_sample_ms": max(sample) * 1000,
            "stop_s": max(stop), "stop_without_platform_s": max(stop_dead or [0])}
