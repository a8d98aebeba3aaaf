# SPDX-License-Identifier: Apache-2.0
"""What it costs to carry 50 devices x 10 registers at 1 Hz: ours (TLS, signed, durable), then collectd and Node-RED (plain
HTTP, unsigned, nothing kept), one after the other against the same Modbus server. See peers.py for what those two are told
to do; one that is not there is left out, and said."""

import contextlib
import time

from bench.peers import PEERS
from bench.rig import Daemon, Field, Fleet, Platform, Usage, configuration, memory

WARM, SECONDS = 8, 22


def run(new_folder, say, warm=WARM, seconds=SECONDS, peers=PEERS):
    figures = {}
    folder = new_folder()
    with Field(folder, 50) as field:
        for name, begin in {"ours": ours, "ours, a connection a device": ours_apart, **peers}.items():
            figures[name] = measure(begin, new_folder(), field, warm, seconds)
            say(f"{name}: " + (", ".join(f"{key} {value:,.4g}" for key, value in figures[name].items()) or "not installed"))
    return {name: figure for name, figure in figures.items() if figure}


def ours(stack, folder, field, sources=1):
    platform = stack.enter_context(Platform(folder))
    # Packs leave every 5 s, so that what is measured holds several.
    yaml = configuration(folder, platform, field, Fleet(50, 10, "1s", sources), batch="max_age: 5s")
    return stack.enter_context(Daemon(folder, yaml)).process.pid, platform


def ours_apart(stack, folder, field):
    return ours(stack, folder, field, 50)


def measure(begin, folder, field, warm, seconds):
    with contextlib.ExitStack() as stack:
        started = begin(stack, folder, field)
        if started is None:
            return {}
        pid, platform = started
        time.sleep(warm)
        usage, before, asked = Usage(pid), platform.newest(), field.registers()
        time.sleep(seconds)
        used, took, after, asked = usage.cpu_used(), usage.seconds(), platform.newest(), field.registers() - asked
        if after.readings == before.readings:
            raise AssertionError(f"nothing arrived from {begin.__name__} in {folder}")
        bytes_, kept = usage.written(), memory(pid)
        return {"registers_per_s": asked / took,
                "readings_per_s": (after.readings - before.readings) / (after.wall_ms - before.wall_ms) * 1000,
                "posts_per_s": (after.posts - before.posts) / (after.wall_ms - before.wall_ms) * 1000,
                "cpu_percent": used / took * 100, "cpu_us": used / asked * 1e6, "peak_mb": kept["peak"],
                "private_mb": kept["private"], "written_per_reading": bytes_ / asked}
