# SPDX-License-Identifier: Apache-2.0
"""Wrong answers on a bus: checksum, unit, function, exception, length, late, twice, after a reconnect, transaction, MBAP.

A trial is a request over RTU, RTU over TCP or TCP; three answers in ten are wrong in one of the twelve ways that RTU has or the
sixteen of TCP (tests/support/bus_storm), and what stayed late of one meets the next. TCP also comes with answers that are numbered
in a way of the device's own. The plugin's own bus runs in the time of the line. What nobody can tell from a right answer is
counted, and proved to be that, by the storm itself: see storm.hpp."""

from campaigns.noise import storm, told
from campaigns.outcome import Outcome

ROWS = "18"
KINDS = ("rtu", "rtutcp", "tcp", "zero", "counter", "swapped")  # the last three: TCP with numbers of its own
TRIALS = {"ci": 600_000, "hand": 60_000_000}  # each way a thousand times at least, and a hundred thousand times
PART = 1_000_000   # with a seed of its own
BUG = "other transactions and late answers taken"
FAULTS = ("checksum", "other_unit", "other_function", "exception", "short", "long", "oversized", "byte_count", "late", "previous",
          "twice", "after_reconnect", "transaction", "mbap_length", "coalesced", "split")


def run(trials, seed, say):
    failures, figures, frames = [], [], 0
    for kind in KINDS:
        total = {}
        for begin in range(0, trials // len(KINDS), PART):
            own = seed + begin // PART
            report = storm(kind, min(PART, trials // len(KINDS) - begin), own)
            failures += [f"{kind}, seed {own}: {failure}" for failure in told(report, own).failures]
            total = {key: total.get(key, 0) + value for key, value in report.items() if isinstance(value, int)}
        frames += total["frames"]
        played = [total[fault] for fault in FAULTS if fault in total]
        figures.append(f"{kind}: {total['wrong']} wrong of {total['good']} read, {len(played)} faults at least {min(played)} times "
                       f"each, {total['late_answers']} late answers seen through, {total['forged']} forged")
        say(figures[-1])
    return Outcome(frames, "; ".join(figures) + f"; seeds from {seed}", failures)


def bite(seed, say):
    """Both bugs must be caught, each where it is."""
    caught = [told(storm(kind, 10_000, seed, bug), seed).failures
              for kind, bug in (("rtu", "no-debts"), ("rtutcp", "no-debts"), ("tcp", "no-transaction"))]
    return Outcome(10_000, "", caught[0] if all(caught) else [])
