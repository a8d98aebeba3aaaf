# SPDX-License-Identifier: Apache-2.0
"""A whole site for a fault campaign: a Modbus device that answers every read with a value of its own, the platform, and
the real gateway between them. What the device gave out and the platform never got is lost; the gateway's books must agree.

    with Site(folder, devices=4) as site:
        site.gateway.start()
        site.wait_for_values(100)
        site.missing()              # [(unit, value)] once everything had time to arrive
"""

import http.client
import json
import time

from support.gateway import Gateway, free_port, settings
from support.modbus_server import ModbusServer
from support.simulator import Simulator, numbered, wait_until

SECRET = "abcdefghijklmnopqrstuvwxyzABCD"


class Site:
    def __init__(self, folder, devices=4, interval_ms=50, wrapper=(), **more):
        """`more`: as for settings()."""
        self.folder = folder
        self.fleet = numbered(devices, SECRET)
        self.units = {device["dvnuuid"]: unit for unit, device in enumerate(self.fleet, 1)}
        self.plc = ModbusServer()
        self.plc.count_at(0)
        secret = folder / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        self.platform = Simulator(folder, self.fleet)
        self.web_port = free_port()
        text = settings(folder, self.platform, web_port=self.web_port, **{"max_age": "200ms", "commit_interval": "300ms", **more})
        text += f"sources:\n  plc: {{plugin: modbus, host: 127.0.0.1, tcp_port: {self.plc.port}, timeout: 40s}}\ndevices:\n"
        for unit, device in enumerate(self.fleet, 1):
            text += (f"  - {{name: d{unit}, dvnuuid: {device['dvnuuid']}, secret: {{file: secret}}, source: plc, "
                     f"unit_id: {unit}, interval: {interval_ms}ms, points: [{{name: counter, holding: 0, type: uint32}}]}}\n")
        self.gateway = Gateway(folder, text, start=False, wrapper=wrapper)
        self.excused = []  # (from, to): monotonic times of serving

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.gateway.__exit__()
        self.platform.stop()
        self.plc.close()

    def wait_for_values(self, count, seconds=30):
        """Until the gateway has read so many more."""
        until = len(self.plc.reads) + count
        wait_until(lambda: len(self.plc.reads) >= until, f"{count} more values are read", seconds)

    def arrived(self):
        """{(unit, value): how often} of what the platform accepted."""
        found = {}
        for _, device, _, _, value in self.platform.kept():
            key = (self.units[device], int(float(value)))
            found[key] = found.get(key, 0) + 1
        return found

    def excuse(self, since, until):
        """What was served then may be lost: a power cut or kill came too soon after it."""
        self.excused.append((since, until))

    def taken(self, since=0, before=None):
        """(unit, value) of what the gateway has certainly taken; `before`: by that moment, monotonic."""
        return [(read.unit, read.value) for read in list(self.plc.reads)[since:]
                if read.taken is not None and (before is None or read.taken < before)
                and not any(first <= read.served <= last for first, last in self.excused)]

    def missing(self, seconds=60, since=0, before=None):
        """Of what was taken by now (or `before`), what has not arrived after so many seconds."""
        wanted = self.taken(since, before)
        end = time.monotonic() + seconds
        while True:
            there = self.arrived()
            left = [key for key in wanted if key not in there]
            if not left or time.monotonic() > end:
                return left
            time.sleep(0.1)

    def everything_arrived(self, seconds=60, since=0):
        return not self.missing(seconds, since)

    def status(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=10)
        try:
            connection.request("GET", "/api/v1/status")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def alarms(self):
        return {alarm["text"] for alarm in self.status()["alarms"]}

    def imbalance(self):
        """How far the gateway's books are from balancing: 0."""
        queue = self.status()["queue"]
        return queue["read"] - queue["accepted"] - queue["queued"] - queue["dead"] - sum(queue["dropped"].values())
