# SPDX-License-Identifier: Apache-2.0
"""Noise on a serial line: flipped bits, bytes lost, doubled and added, bursts, echo, break, parity.

Every register says which unit, table and address it is and which request it answers (tests/support/bus_storm), so a value
that is wrong in any way shows. The plugin's own bus runs in the time of the line, without waiting for it. One damaged frame
in 65,536 has a good checksum again, and no receiver can tell: the storm sees those with its own checksum and plays others."""

import json
import subprocess

from campaigns.outcome import Outcome
from support.simulator import BUILD

ROWS = "17"
TRIALS = {"ci": 1_000_000, "hand": 50_000_000}
BUG = "the checksum of answers not checked"


def storm(kind, exchanges, seed, bug=None):
    """What bus-storm reports; with `bug` of the build that has it."""
    program = BUILD / "tests" / ("bus-storm" + (f"-{bug}" if bug else ""))
    done = subprocess.run([program, kind, str(exchanges), str(seed)], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise AssertionError(f"{program.name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def told(report, seed):
    """An outcome: any wrong value is a failure, and so is a bus that asks more often than it may or reads next to nothing."""
    failures = []
    if report["wrong"]:
        failures.append(f"{report['wrong']} wrong values, the first: {report['first_wrong']}")
    if report["too_many"]:
        failures.append(f"{report['too_many']} requests were sent more often than `retries` allows")
    if report["good"] < report["exchanges"] / 2:
        failures.append(f"only {report['good']} of {report['exchanges']} requests brought values")
    return Outcome(report["frames"], f"{report['wrong']} wrong of {report['good']} read, {report['spoiled']} frames spoiled, "
                   f"seed {seed}", failures)


def run(trials, seed, say):
    report = storm("noise", trials, seed)
    outcome = told(report, seed)
    outcome.figure += f", {report['forged']} not played because their checksum was good again"
    return outcome


def bite(seed, say):
    return told(storm("noise", 10_000, seed, "no-checksum"), seed)
