# SPDX-License-Identifier: Apache-2.0
"""What every scenario starts from: a folder, the platform, a Modbus device, and the gateway with the YAML of the test."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.cases import main  # noqa: E402,F401
from support.gateway import Gateway, settings  # noqa: E402
from support.modbus_server import ModbusServer  # noqa: E402
from support.simulator import Simulator, wait_until  # noqa: E402,F401

BOILER = "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40"
CHILLER = "0d3a5f3e-8c1b-4f60-9a77-5e2b6c9d1e02"
SECRETS = {BOILER: "abcdefghijklmnopqrstuvwxyzABCD", CHILLER: "ZYXWVUTSRQPONMLKJIHGFEDCBA0123456789"}
NAMES = {BOILER: "boiler", CHILLER: "chiller"}


class Scenario(unittest.TestCase):
    """self.folder, self.platform (knows boiler and chiller), self.plc; self.start(yaml) runs the gateway."""
    gateway, last_log = None, ""

    def setUp(self):
        # Not in /tmp, which may be memory: the gateway warns of a queue there.
        temporary = tempfile.TemporaryDirectory(prefix="things-", dir="/var/tmp")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        devices = [{"dvnuuid": u, "secret": s, "name": NAMES[u]} for u, s in SECRETS.items()]
        self.platform = Simulator(self.folder, devices)
        self.addCleanup(self.platform.stop)
        self.plc = ModbusServer()
        self.addCleanup(self.plc.close)
        for uuid, secret in SECRETS.items():
            file = self.folder / NAMES[uuid]
            file.write_text(secret + "\n")
            file.chmod(0o600)

    def yaml(self, text, **more):
        """The settings of this folder, then the test's own part with PLC, BOILER and CHILLER filled in."""
        text = text.replace("PLC", str(self.plc.port)).replace("BOILER", BOILER).replace("CHILLER", CHILLER)
        return settings(self.folder, self.platform, **more) + text

    def start(self, text, wrapper=(), **more):
        self.gateway = Gateway(self.folder, self.yaml(text, **more), wrapper=wrapper)
        self.addCleanup(self.gateway.__exit__)
        return self.gateway

    def run(self, result=None):
        before = 0 if result is None else len(result.failures) + len(result.errors)
        super().run(result)
        if result is not None and self.gateway and len(result.failures) + len(result.errors) > before:
            print(f"--- the gateway's log of {self.id()}\n{self.last_log[-6000:]}", file=sys.stderr)

    def tearDown(self):
        self.last_log = self.gateway.log() if self.gateway else ""
        # Whatever the scenario was about, the gateway must never send what a strict platform would not take.
        self.assertEqual(self.platform.stats()["white_space_packs"], 0)
        self.assertEqual(self.platform.stats()["overlapping_requests"], 0)
        for secret in SECRETS.values():
            self.assertNotIn(secret, self.last_log)

    def wait(self, condition, what, seconds=20, **more):
        return wait_until(condition, what, seconds, **more)

    def wait_for(self, name, value, device=BOILER, seconds=20):
        """Waits until the newest reading of this point at the platform has this value."""
        def is_there():
            newest = self.platform.newest(device=device, name=name)
            return newest is not None and newest["value"] == value
        self.wait(is_there, f"{name} is {value} at the platform", seconds)

    def counters(self, device=BOILER, name="counter"):
        """Values of a counting point the platform has, in order of arrival."""
        return [int(r["value"]) for r in self.platform.accepted(device=device, name=name)]

    def wait_for_counter(self, at_least, seconds=20, **more):
        self.wait(lambda: (self.counters(**more) or [0])[-1] >= at_least, f"counter {at_least} has arrived", seconds)

    def assert_nothing_missing(self, until, device=BOILER, name="counter", since=1):
        """Every value since..until of a counting point has arrived; repeats are allowed."""
        missing = set(range(since, until + 1)) - set(self.counters(device, name))
        self.assertEqual(missing, set())
