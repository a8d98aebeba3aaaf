# SPDX-License-Identifier: Apache-2.0
"""Readings a second from the Modbus register to the platform's 202, and CPU time a reading, in packs of 10, 100 and 1000.

The fleet is polled as fast as its interval says, so the rate that is offered is set; what counts is what the platform
accepted. The daemon commits as always, signs, and speaks TLS; Modbus server, platform and daemon share the cores."""

import time

from bench.rig import Daemon, Field, Fleet, Platform, Usage, configuration, memory

# readings a pack: what is offered
OFFERS = {10: Fleet(50, 25, "10ms", 10), 100: Fleet(50, 125, "10ms", 10), 1000: Fleet(50, 125, "10ms", 10)}
SECONDS = 12


def run(new_folder, say, packs=(10, 100, 1000), seconds=SECONDS, offers=None):
    figures = {}
    for pack in packs:
        figures[str(pack)] = measure(new_folder(), pack, (offers or OFFERS)[pack], seconds)
        say(f"{pack} a pack: " + ", ".join(f"{key} {value:,.6g}" for key, value in figures[str(pack)].items()))
    return figures


def measure(folder, pack, fleet, seconds):
    with Field(folder, fleet.devices) as field, Platform(folder) as platform:
        yaml = configuration(folder, platform, field, fleet, batch=f"max_records: {pack}, max_bytes: 1MiB, max_age: 2s")
        with Daemon(folder, yaml) as daemon:
            time.sleep(4)  # connections, first beats, memory
            usage, before, asked = Usage(daemon.process.pid), platform.newest(), field.registers()
            time.sleep(seconds)
            used, took, after, asked = usage.cpu_used(), usage.seconds(), platform.newest(), field.registers() - asked
            written, peak, queue = usage.written(), memory(daemon.process.pid)["peak"], daemon.status()["queue"]
            daemon.stop()
    readings, span = after.readings - before.readings, (after.wall_ms - before.wall_ms) / 1000
    if after.refused:
        raise AssertionError(f"{after.refused} posts with a wrong token")
    if not readings:
        raise AssertionError("nothing arrived:\n" + daemon.log()[-2000:])
    return {"offered_per_s": asked / took, "readings_per_s": readings / span, "posts_per_s": (after.posts - before.posts) / span,
            "a_post": readings / (after.posts - before.posts), "cpu_us": used / took * span / readings * 1e6, "cores": used / took,
            "written_per_reading": written / took * span / readings, "queued_at_end": queue["queued"], "peak_mb": peak}
