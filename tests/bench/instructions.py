# SPDX-License-Identifier: Apache-2.0
"""Instructions a reading by callgrind: the whole daemon with 100 readings a pack, counted after it has warmed up. Machine and
neighbours change little in it. The processor that valgrind plays has no SHA instructions."""

import re
import subprocess
import time

from bench.rig import Daemon, Field, Fleet, Platform, configuration

FLEET = Fleet(4, 100, "50ms", 4)  # 8,000 readings/s, each device on a connection of its own
SECONDS = 20


def run(new_folder, say, seconds=SECONDS):
    folder = new_folder()
    with Field(folder, FLEET.devices) as field, Platform(folder) as platform:
        yaml = configuration(folder, platform, field, FLEET, batch="max_records: 100, max_age: 5s")
        out = folder / "callgrind.out"
        prefix = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
        with Daemon(folder, yaml, prefix=prefix, patience=120) as daemon:
            time.sleep(6)
            control(daemon, "-i", "on")
            before, asked = platform.newest(), field.registers()
            time.sleep(seconds)
            after, asked = platform.newest(), field.registers() - asked
            control(daemon, "-d")
            total = counted(folder)
            daemon.kill()
    if not total:
        raise AssertionError("callgrind counted nothing")
    readings = after.readings - before.readings
    figure = {"instructions_per_reading": total / readings, "readings": readings, "offered_per_s": asked / seconds,
              "a_post": readings / (after.posts - before.posts)}
    say(", ".join(f"{key} {value:,.6g}" for key, value in figure.items()) + f" ({out})")
    return figure


def counted(folder):
    """The sum of what every thread did until the dump."""
    found = [re.search(r"^(?:totals|summary):\s+(\d+)", path.read_text(errors="replace"), re.M)
             for path in folder.glob("callgrind.out*")]
    return sum(int(match.group(1)) for match in found if match)


def control(daemon, *options):
    subprocess.run(["callgrind_control", *options, str(daemon.process.pid)], check=True, capture_output=True)
