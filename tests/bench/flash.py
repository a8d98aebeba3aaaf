# SPDX-License-Identifier: Apache-2.0
"""Bytes that reach the block device a reading, and its cache flushes, with the queue on a card of its own: at default
settings, with packs that leave within the commit interval, and while the platform is away. What other programs do on the
machine changes nothing, so the four run side by side. Each begins with commits ten times a second, until SQLite's log has its
length and is written over instead of made longer, and gets its own settings by a reload then: what is measured is what a
gateway does day after day. At default settings that log is full every nine minutes; the measured ten hold its checkpoint."""

import contextlib
import time

from bench.card import Card
from bench.rig import Daemon, Field, Fleet, Platform, Usage, configuration

SECONDS, WARM, PATIENCE = 600, 65, 180
CASES = {  # fleet, keys, whether the platform is there
    "defaults, 50/s": (Fleet(5, 10), {}, True),
    "batch.max_age 5s, 50/s": (Fleet(5, 10), {"batch": "max_age: 5s"}, True),
    "outage, 50/s": (Fleet(5, 10), {}, False),
    "outage, commit_interval 1s, 500/s": (Fleet(50, 10), {"queue": "commit_interval: 1s"}, False),
}


def run(new_folder, say, seconds=SECONDS, warm=WARM):
    figures = {}
    with contextlib.ExitStack() as stack:
        cases = {name: begin(stack, new_folder(), *case) for name, case in CASES.items()}
        for case in cases.values():
            await_full_log(case["card"].path / "queue.db-wal")
        for case in cases.values():
            case["daemon"].config.write_text(case["yaml"])
            case["daemon"].reload()
        time.sleep(warm)
        for case in cases.values():
            case["registers"], case["written"] = case["field"].registers(), case["card"].written()
            case["usage"], case["commits"] = Usage(case["daemon"].process.pid), case["daemon"].status()["queue"]["commits"]
        time.sleep(seconds)
        for name, case in cases.items():
            figures[name] = judge(case)
            say(f"{name}: " + ", ".join(f"{key} {value:,.4g}" for key, value in figures[name].items()))
    return figures


def begin(stack, folder, fleet, keys, has_platform):
    field = stack.enter_context(Field(folder, fleet.devices))
    platform = stack.enter_context(Platform(folder))
    card = stack.enter_context(Card(folder))
    platform = platform if has_platform else None
    yaml = configuration(folder, platform, field, fleet, path=card.path / "queue.db", **keys)
    hasty = yaml.replace("queue: {", "queue: {commit_interval: 100ms, ").replace(", commit_interval: 1s", "")
    return {"field": field, "card": card, "yaml": yaml, "daemon": stack.enter_context(Daemon(folder, hasty))}


def await_full_log(path):
    """Until SQLite begins it anew: the number in its header that counts that. https://sqlite.org/fileformat2.html#walformat"""
    until = time.monotonic() + PATIENCE
    while not path.exists() or int.from_bytes(path.read_bytes()[12:16], "big") < 1:
        if time.monotonic() > until:
            raise AssertionError(f"{path} was not written over within {PATIENCE} s")
        time.sleep(0.2)


def judge(case):
    usage = case["usage"]
    readings, process, took = case["field"].registers() - case["registers"], usage.written(), usage.seconds()
    commits = case["daemon"].status()["queue"]["commits"] - case["commits"]
    device = case["card"].written(case["written"])
    return {"readings_per_s": readings / took, "device_bytes_per_reading": device.bytes / readings,
            "process_bytes_per_reading": process / readings, "flushes_per_s": device.flushes / took,
            "flushes_per_reading": device.flushes / readings, "commits_per_s": commits / took,
            "mb_per_day": device.bytes / took * 86400 / 1e6}
