#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Is asked, and takes commands: a thermostat that lives in this file.

sources: {thermostat: {plugin: exec, mode: asked, command: [/usr/local/bin/thermostat.py]}}
points: [{name: temperature, unit: Cel}, {name: setpoint, unit: Cel, writable: {min: 5, max: 30}}]
"""
import json
import random
import sys

values = {"temperature": 20.0, "setpoint": 21.0}


def say(**line):
    print(json.dumps(line), flush=True)


for text in sys.stdin:
    line = json.loads(text)
    if "poll" in line:
        values["temperature"] += (values["setpoint"] - values["temperature"]) * 0.1 + random.uniform(-0.05, 0.05)
        say(values={point: round(values[point], 2) for point in line["points"] if point in values})
        say(done=line["poll"])
    elif "write" in line:
        if line["point"] == "setpoint":
            values["setpoint"] = round(float(line["value"]) * 2) / 2  # it knows half degrees only
            say(done=line["write"], value=values["setpoint"])
        else:
            say(failed=line["write"], text="only the setpoint can be written")
