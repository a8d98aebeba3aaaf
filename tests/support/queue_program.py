# SPDX-License-Identifier: Apache-2.0
"""Plays one test case of the queue's test program many times over, on all cores, each part with a seed of its own."""

import concurrent.futures
import os
import re
import subprocess

from support.simulator import BUILD

PROGRAM = BUILD / "tests/queue_test"


def play(case, trials, seed, variable, **more):
    """[(text of the case's messages, line of what failed or None)], one for each part. The program takes the numbers from
    THINGS_<variable> and THINGS_<kind>_SEED; `more` are further variables."""
    parts = min(os.cpu_count() or 1, trials)
    kind = variable.split("_")[0]

    def part(index):
        share = trials // parts + (index < trials % parts)
        environment = {**os.environ, **more, f"THINGS_{variable}": str(share), f"THINGS_{kind}_SEED": str(seed + index)}
        done = subprocess.run([PROGRAM, f"--test-case={case}"], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, errors="replace")
        told = ", ".join(re.findall(r"MESSAGE: (.*)", done.stdout))
        wrong = re.search(r"(?:ERROR|FATAL ERROR): (.*(?:\n +values: .*)?)", done.stdout)
        if done.returncode == 0 and told:
            return told, None
        return told, f"seed {seed + index}: {wrong.group(1) if wrong else done.stdout[-300:]}"

    with concurrent.futures.ThreadPoolExecutor(parts) as pool:
        return list(pool.map(part, range(parts)))


def total(parts, word):
    """The sum of the numbers that stand before this word in the messages."""
    return sum(int(number) for text, _ in parts for number in re.findall(rf"(\d+) {word}", text))
