# SPDX-License-Identifier: Apache-2.0
"""Answers that are wrong, late (0.5 to 5 timeouts), double, for something else, in pieces, or after a reconnect.

As `noise`, but the devices are what is bad: in RTU frames and in TCP frames, three answers in ten. A late answer must never
be taken for the next one. In RTU frames an answer may be one to the same question asked before; its age is in the figure."""

from campaigns.noise import storm, told
from campaigns.outcome import Outcome

ROWS = "18"
TRIALS = {"ci": 400_000, "hand": 20_000_000}
BUG = "transaction numbers not checked, late answers forgotten"


def run(trials, seed, say):
    reports = {kind: storm(kind, trials // 2, seed) for kind in ("rtu", "tcp")}
    outcomes = {kind: told(report, seed) for kind, report in reports.items()}
    oldest = reports["rtu"]["oldest_ms"]
    figure = "; ".join(f"{kind.upper()} {outcome.figure}, {reports[kind]['late_answers']} late ones known"
                       for kind, outcome in outcomes.items())
    return Outcome(sum(outcome.trials for outcome in outcomes.values()), f"{figure}, oldest answer {oldest} ms",
                   [f"{kind}: {failure}" for kind, outcome in outcomes.items() for failure in outcome.failures])


def bite(seed, say):
    bitten = {"no-transaction": told(storm("tcp", 10_000, seed, "no-transaction"), seed),
              "no-debts": told(storm("rtu", 10_000, seed, "no-debts"), seed)}
    missed = [bug for bug, outcome in bitten.items() if not outcome.failures]
    for bug in missed:
        say(f"{bug} was not seen")
    failures = [] if missed else [failure for outcome in bitten.values() for failure in outcome.failures]
    return Outcome(sum(outcome.trials for outcome in bitten.values()), "", failures)
