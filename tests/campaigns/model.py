# SPDX-License-Identifier: Apache-2.0
"""Random walks through everything that can happen to a queue, against a model of a few lines.

Appends, takes, settlements, dead letters, kills, power cuts, reopenings, overflow under all three policies, boots without
a clock, spans taken again (tests/queue/model_test.cpp and overflow_model_test.cpp)."""

import random

from campaigns.outcome import Outcome
from support.queue_program import play, total

ROWS = "28"
TRIALS = {"ci": 150_000, "hand": 1_000_000}
BUG = "a settlement, an append and a commit that the model is not told of"
CASE = "a random walk*"
BITE = 10_000  # steps; a commit too many shows only if a power cut comes before the next one


def run(trials, seed, say):
    seed = seed or random.randrange(1 << 30)
    parts = play(CASE, trials, seed, "MODEL_STEPS")
    figure = "; ".join(text for text, _ in parts)
    return Outcome(total(parts, "steps"), f"{figure}; seed {seed}", [wrong for _, wrong in parts if wrong])


def bite(seed, say):
    found = []
    for bug in ("settles", "loses", "forgets"):
        parts = play(CASE, BITE, seed or 1, "MODEL_STEPS", THINGS_MODEL_BUG=bug)
        wrong = [text for _, text in parts if text]
        say(f"planted {bug}: {'seen' if wrong else 'not seen'}")
        found += wrong[:1]
    return Outcome(BITE, "", found if len(found) == 3 else [])
