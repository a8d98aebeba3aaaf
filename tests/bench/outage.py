# SPDX-License-Identifier: Apache-2.0
"""A day's outage of 100 devices with 10 points at 10 s: 8.64 million readings. The queue is filled by the daemon's own queue
code on a clock that runs as fast as it can (fill_queue.cpp) and left as after a power cut. Then the real daemon starts,
goes on polling all 100 devices, and drains: first straight to the platform, then over a link with 100 ms of round trip, which
takes minutes. Shown: the rate, the age of the newest reading that the platform has of the device that is worst off (it runs
to 10 s by itself, as each point is read every 10 s; `late_s` is what is above that), and memory."""

import time

from bench.link import SlowLink
from bench.rig import Daemon, Field, Fleet, Platform, configuration, fill_queue, memory

DEVICES, POINTS, POLLS, INTERVAL_S = 100, 10, 8640, 10
PATIENCE = 500
LINK_MS = 100


def run(new_folder, say, polls=POLLS, link_ms=LINK_MS):
    return {"straight": drain(new_folder(), say, polls, 0), f"{link_ms} ms": drain(new_folder(), say, polls, link_ms)}


def drain(folder, say, polls, rtt_ms):
    begin = time.monotonic()
    filled = fill_queue(folder, DEVICES, POINTS, 10_000, polls)
    say(f"filled in {time.monotonic() - begin:.1f} s: {filled}")
    backlog = DEVICES * POINTS * polls
    with Field(folder, DEVICES) as field, Platform(folder) as platform, SlowLink(platform.url, rtt_ms) as link:
        platform.url = link.url
        yaml = configuration(folder, platform, field, Fleet(DEVICES, POINTS, f"{INTERVAL_S}s"), batch="max_age: 1s")
        with Daemon(folder, yaml) as daemon:
            memories = [memory(daemon.process.pid)]
            end = time.monotonic() + PATIENCE
            while platform.newest().readings < backlog and time.monotonic() < end:
                time.sleep(0.5)
                memories.append(memory(daemon.process.pid))
            drained = platform.newest()
            time.sleep(5)
            books = daemon.status()["queue"]
            daemon.stop()  # sends what is left
            took = field.registers()
        time.sleep(0.5)
        lines = platform.lines()
    if lines[-1].readings < backlog + took:
        raise AssertionError(f"only {lines[-1].readings} of {backlog + took} arrived")
    return figures(lines, drained, backlog, books, memories, took, say)


def figures(lines, drained, backlog, books, memories, took, say):
    busy = [line for line in lines if 0 < line.posts and line.wall_ms <= drained.wall_ms]
    begin = busy[0].wall_ms - 200
    # Until a device's first live pack its newest reading at the platform is one of the outage; from then on it is live.
    fresh = next((line for line in lines if line.devices == DEVICES and line.worst_age_ms < 3000 * INTERVAL_S), None)
    if fresh is None:
        raise AssertionError("no live reading came")
    ages = [line.worst_age_ms for line in lines if line.wall_ms >= fresh.wall_ms]
    for line in busy[::max(1, len(busy) // 12)]:
        say(f"  after {(line.wall_ms - begin) / 1000:5.1f} s: {line.readings:9,} readings, {line.posts:6,} posts, "
            f"oldest newest {line.worst_age_ms / 1000:9.1f} s")
    span = (drained.wall_ms - begin) / 1000
    result = {"readings": backlog, "seconds": span, "readings_per_s": drained.readings / span,
              "posts_per_s": drained.posts / span, "all_live_after_s": (fresh.wall_ms - begin) / 1000,
              "worst_age_s": max(ages) / 1000, "late_s": max(0, max(ages) / 1000 - INTERVAL_S),
              "peak_mb": max(m["peak"] for m in memories),
              "private_mb": max(m["private"] for m in memories), "live_readings": took,
              "dropped": sum(books["dropped"].values()) + books["dead"]}
    say(", ".join(f"{key} {value:,.6g}" for key, value in result.items()))
    return result
