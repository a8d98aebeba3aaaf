# SPDX-License-Identifier: Apache-2.0
"""How fast a day's backlog leaves: 50 devices with 10 points a minute (72,000 polls, 720,000 readings) while live readings
keep coming. `run`: over links with 100 and 300 ms of round trip, HTTP/1.1 and HTTP/2. `loopback`: without a link, in packs
of the default size and of 10."""

import time

from bench.link import Http2, SlowLink
from bench.rig import Daemon, Field, Fleet, Platform, configuration, fill_queue, memory

MINUTES = 24 * 60
LINKS = [(100, 1), (300, 1), (100, 2), (300, 2)]
PATIENCE = 150


def run(new_folder, say, links=LINKS, minutes=MINUTES):
    return tell(say, {f"{rtt_ms} ms, HTTP/{'1.1' if version == 1 else '2'}": measure(new_folder(), rtt_ms, version, minutes)
                      for rtt_ms, version in links})


def loopback(new_folder, say, minutes=MINUTES):
    return tell(say, {"default packs": measure(new_folder(), 0, 1, minutes),
                      "packs of 10": measure(new_folder(), 0, 1, minutes, "max_records: 10")})


def tell(say, figures):
    for name, figure in figures.items():
        say(f"{name}: " + ", ".join(f"{key} {value:,.4g}" for key, value in figure.items()))
    return figures


def measure(folder, rtt_ms, version, minutes, batch=""):
    fleet = Fleet(50, 10, "10s")
    fill_queue(folder, fleet.devices, fleet.points, 60_000, minutes)
    backlog = fleet.devices * fleet.points * minutes
    with Field(folder, fleet.devices) as field, Platform(folder, plain=version == 2) as platform:
        if version == 2:
            with Http2(folder, platform.port) as front:
                platform.url = front.url
                return through(folder, rtt_ms, field, platform, fleet, backlog, batch)
        return through(folder, rtt_ms, field, platform, fleet, backlog, batch)


def through(folder, rtt_ms, field, platform, fleet, backlog, batch):
    with SlowLink(platform.url, rtt_ms) as link:
        platform.url = link.url
        yaml = configuration(folder, platform, field, fleet, batch=batch or "max_age: 5s")
        with Daemon(folder, yaml) as daemon:
            end = time.monotonic() + PATIENCE
            while platform.newest().readings < backlog and time.monotonic() < end:
                time.sleep(0.2)
            lines = [line for line in platform.lines() if line.readings <= backlog]
            peak, left = memory(daemon.process.pid)["peak"], max(0, backlog - platform.newest().readings)
            if platform.newest().readings == 0:
                raise AssertionError("nothing arrived:\n" + daemon.log()[-2000:])
            daemon.stop()
    sent = [line for line in lines if line.readings > 0]
    span = max(0.2, (sent[-1].wall_ms - sent[0].wall_ms) / 1000 + 0.2)
    return {"seconds": span, "readings_per_s": sent[-1].readings / span, "posts_per_s": sent[-1].posts / span,
            "a_post": sent[-1].readings / sent[-1].posts, "connections": sent[-1].connections, "peak_mb": peak, "left": left}
