# SPDX-License-Identifier: Apache-2.0
"""The table of targets with what was measured filled in: what is accepted, what would be worth telling, and ours."""

import dataclasses


@dataclasses.dataclass
class Target:
    what: str
    measure: str       # module of this folder
    path: tuple        # into its figures
    accept: float
    moonshot: float
    unit: str
    more: bool = False  # more is better


PACKS_QUEUED = "500000 packs queued"
TARGETS = [
    Target("readings/s end to end, 10 a pack", "rate", ("10", "readings_per_s"), 100_000, 400_000, "/s", True),
    Target("readings/s end to end, 100 a pack", "rate", ("100", "readings_per_s"), 600_000, 2_000_000, "/s", True),
    Target("CPU a reading, flat out, 100 a pack", "rate", ("100", "cpu_us"), 1.5, 0.6, "us"),
    Target("instructions a reading, 100 a pack", "instructions", ("instructions_per_reading",), 5000, 2000, ""),
    Target("CPU at 500 readings/s, of a core", "cost", ("ours", "cpu_percent"), 2, 0.7, "%"),
    Target("peak memory, 50 devices", "cost", ("ours", "peak_mb"), 24, 16, "MB"),
    Target("private memory, 50 devices", "cost", ("ours", "private_mb"), 24, 4, "MB"),
    Target("device bytes a reading, packs leave within 5 s", "flash",
           ("batch.max_age 5s, 50/s", "device_bytes_per_reading"), 20, 2, "B"),
    Target("device bytes a reading, defaults", "flash", ("defaults, 50/s", "device_bytes_per_reading"), 60, 30, "B"),
    Target("device bytes a reading, outage, 500/s", "flash",
           ("outage, commit_interval 1s, 500/s", "device_bytes_per_reading"), 120, 16, "B"),
    Target("commits a second, defaults", "flash", ("defaults, 50/s", "commits_per_s"), 1, 0.1, "/s"),
    Target("a day's backlog of 50 devices, 100 ms round trip", "drain", ("100 ms, HTTP/1.1", "seconds"), 35 * 60, 4 * 60, "s"),
    Target("live data late by, while a day drains, 100 ms", "outage", ("100 ms", "late_s"), 60, 10, "s"),
    Target("drain on the loopback, packs of 10", "loopback", ("packs of 10", "posts_per_s"), 5000, 30_000, "/s", True),
    Target("sample jitter p99, idle", "jitter", ("idle", "p99_ms"), 2, 0.3, "ms"),
    Target("sample jitter p99, drain and slow fsync", "jitter", ("drain and slow fsync", "p99_ms"), 10, 1, "ms"),
    Target("missed beats, drain and slow fsync", "jitter", ("drain and slow fsync", "missed"), 0, 0, ""),
    Target("exec to first sample, 500,000 packs queued", "start", (PACKS_QUEUED, "first_sample_ms"), 200, 30, "ms"),
    Target("exec to READY, 500,000 packs queued", "start", (PACKS_QUEUED, "ready_ms"), 500, 50, "ms"),
    Target("stop on SIGTERM", "start", (PACKS_QUEUED, "stop_s"), 5, 1, "s"),
]


def find(kept, target):
    found = kept.get(target.measure, {}).get("figures")
    for key in target.path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def verdict(target, figure):
    def reaches(bound):
        return figure >= bound if target.more else figure <= bound
    return "moonshot" if reaches(target.moonshot) else "accepted" if reaches(target.accept) else "MISSED"


def table(kept):
    rows = [f"{'target':52} {'accept':>10} {'moonshot':>10} {'ours':>12}  verdict   taken (UTC)"]
    for target in TARGETS:
        figure = find(kept, target)
        ours = "-" if figure is None else f"{figure:,.4g} {target.unit}" if figure < 1e4 else f"{figure:,.0f} {target.unit}"
        said = "not measured" if figure is None else f"{verdict(target, figure):9} {kept[target.measure]['taken']}"
        sign = ">=" if target.more else "<="
        rows.append(f"{target.what:52} {sign}{target.accept:>8,g} {target.moonshot:>10,g} {ours:>12}  {said}")
    return "\n".join(rows)
