# SPDX-License-Identifier: Apache-2.0
"""What a campaign says at its end. A campaign is a module of this folder with

  ROWS      what it answers for: the numbers of the fault classes, for the table
  TRIALS    {"ci": N, "hand": M}
  BUG       the bug that it plants to show that it bites, in words
  run(trials, seed, say) -> Outcome     seed None: another one each time; it must be in the figure
  bite(seed, say) -> Outcome            the same with the bug planted, in as few trials as it takes: must fail

and optionally NEEDS, the Debian packages without which it cannot run. Its docstring's first line says what it does."""

import dataclasses


@dataclasses.dataclass
class Outcome:
    trials: int
    figure: str                                       # what was measured, in one line
    failures: list = dataclasses.field(default_factory=list)  # what went wrong, a line each; none: passed
