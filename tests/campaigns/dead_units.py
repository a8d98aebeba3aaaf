# SPDX-License-Identifier: Apache-2.0
"""Dead and slow units among good ones on serial lines: 1 of 32, 16 of 32, some slow; one register that is never answered.

The real gateway on lines with byte timing at 115200 baud. Units fall silent, or become slow, at a random moment while all are
read once a second; what the others keep of their beat is the figure, from that moment on. Finding out who is silent may cost
them two beats, and nothing after that. Beside the register all other points, those of its own unit too, keep KEPT of their
beat."""

import pathlib
import random
import tempfile
import time

from campaigns.outcome import Outcome
from support.gateway import PLUGINS, Gateway, settings
from support.modbus_site import Fleet, ModbusSite, beats, read_accepted, wrong_values
from support.simulator import BUILD, Simulator, wait_until

ROWS = "19"
TRIALS = {"ci": 4, "hand": 52}
BUG = "every silent unit waited for in full"
UNITS = 32
WINDOW = {"bug": 6, "ci": 10, "hand": 40}  # seconds, a beat each
COST = 2             # beats, on average over the good units of a line
TIMEOUT = 0.3
KEPT = 0.98
KINDS = ("one dead", "half dead", "slow ones", "silent register")


def run(trials, seed, say):
    chance, results, failures = random.Random(seed), {kind: [] for kind in KINDS}, []
    window = WINDOW["hand" if trials > TRIALS["ci"] else "ci"]
    for _ in range(0, trials, len(KINDS)):
        kept, wrong = one_round(chance, PLUGINS, window)
        failures += wrong
        for kind, (mean, worst) in kept.items():
            results[kind].append((mean, worst))
            if mean < least_mean(kind, window):
                failures.append(f"{kind}: the good units kept {mean:.3f} of their beat")
        say(", ".join(f"{kind}: {mean:.3f} (worst unit {worst:.2f})" for kind, (mean, worst) in kept.items()))
    figure = "; ".join(f"{kind}: {min(m for m, _ in r):.3f} of the beat kept over {window} s (worst unit {min(w for _, w in r):.2f})"
                       for kind, r in results.items())
    return Outcome(sum(map(len, results.values())), f"{figure}, seed {seed}", failures)


def bite(seed, say):
    window = WINDOW["bug"]
    kept, _ = one_round(random.Random(seed), BUILD / "tests/bugs/waits-in-full", window)
    say(", ".join(f"{kind}: {mean:.3f}" for kind, (mean, _) in kept.items()))
    return Outcome(1, "", [kind for kind, (mean, _) in kept.items() if mean < least_mean(kind, window)])


def least_mean(kind, window):
    return KEPT if kind == "silent register" else 1 - COST / window


def one_round(chance, plugins, window):
    """A line of each kind at once: {kind: (mean, least) of the beat that good units kept}, and what was wrong."""
    with tempfile.TemporaryDirectory(prefix="things-units-") as place, ModbusSite() as site:
        folder = pathlib.Path(place)
        fleet, ill, devices = Fleet(folder), {}, {}
        for number, kind in enumerate(KINDS):
            line = f"line{number}"
            port = site.line(line, 115200, range(1, UNITS + 1), 2000)
            fleet.source(line, f"port: {port}, baud: 115200, timeout: {TIMEOUT * 1000:.0f}ms")
            devices[kind] = {unit: fleet.device(line, unit, "1s") for unit in range(1, UNITS + 1)}
            ill[kind] = chance.sample(range(1, UNITS + 1), {"one dead": 1, "half dead": 16}.get(kind, 2))
            if kind == "silent register":
                for unit in ill[kind]:
                    site.ask(f"hush {line} {unit} 5")  # in the middle of p1
        with Simulator(folder, fleet.platform_devices) as platform:
            yaml = settings(folder, platform, max_age="1s") + fleet.yaml()
            with Gateway(folder, yaml, plugins=plugins):
                wait_until(lambda: {d for d, *_ in read_accepted(platform)} == set(fleet.units), "all units were read", 60)
                time.sleep(chance.uniform(1, 2))
                for number, kind in enumerate(KINDS):
                    for unit in ill[kind] if kind != "silent register" else ():
                        site.ask(f"fault line{number} {unit} " + ("none 1 100" if kind == "slow ones" else "silent"))
                begin = time.time()
                time.sleep(window + 3)
                accepted = read_accepted(platform)
    kept = {}
    for kind in KINDS:
        names = ("p0", "p2") if kind == "silent register" else ("p0",)
        parts = [beats(accepted, device, begin, begin + window, name) / window for name in names
                 for unit, device in devices[kind].items() if unit not in ill[kind] or kind == "silent register"]
        kept[kind] = (sum(parts) / len(parts), min(parts))
    return kept, wrong_values(accepted, fleet.units, 5 * TIMEOUT + 1)
