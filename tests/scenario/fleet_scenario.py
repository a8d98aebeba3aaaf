# SPDX-License-Identifier: Apache-2.0
"""Reloads: of one device of 500 over 20 sources, of a device that goes, of a secret, and in the middle of a command."""

import collections
import pathlib
import re
import tempfile
import threading
import unittest

from scenario import BOILER, CHILLER, SECRETS, Scenario, main
from support.fleet import Fleet
from support.gateway import Gateway, settings
from support.modbus_server import ModbusServer
from support.simulator import Simulator, wait_until

LINES, DEVICES, CHANGED = 20, 500, 3  # device 3 lies on line 3
COUNTER = "{{name: counter, holding: {1}, type: uint32}}"


class LargeFleet(unittest.TestCase):
    """Every device is a unit whose register counts the reads of it: a lost reading is a missing number."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="things-")
        self.addCleanup(temporary.cleanup)
        folder = pathlib.Path(temporary.name)
        self.lines = [ModbusServer() for _ in range(LINES)]
        for line in self.lines:
            self.addCleanup(line.close)
            line.count_at(0)
        self.fleet = Fleet(folder, [line.port for line in self.lines], DEVICES, points=1, interval="1s")
        self.platform = Simulator(folder, self.fleet.known())
        self.addCleanup(self.platform.stop)
        self.head = settings(folder, self.platform, max_age="1s") + self.fleet.sources()
        self.gateway = Gateway(folder, self.head + self.fleet.in_full(COUNTER))
        self.addCleanup(self.gateway.__exit__)

    def served(self):
        """How often each unit was read so far, as (line, unit): count."""
        return {(n, unit): count for n, line in enumerate(self.lines) for unit, count in line.counters[0].items()}

    def arrived(self):
        """The numbers the platform has, by (line, unit)."""
        place = {u: (self.fleet.line_of(i), self.fleet.unit_of(i)) for i, u in enumerate(self.fleet.uuids)}
        numbers = collections.defaultdict(set)
        for reading in self.platform.accepted(name="counter"):
            numbers[place[reading["device"]]].add(int(reading["value"]))
        return numbers

    def wait_for_all(self):
        """Waits until everything that was read by now has arrived; what is missing then."""
        until = self.served()
        self.assertEqual(len(until), DEVICES)
        def is_there():
            numbers = self.arrived()
            return all(max(numbers[place], default=0) >= count for place, count in until.items())
        wait_until(is_there, "what was read has arrived", 30, step=0.3)
        numbers = self.arrived()
        return {place: set(range(1, count + 1)) - numbers[place] for place, count in until.items()
                if set(range(1, count + 1)) - numbers[place]}

    def reload(self, yaml):
        """(moment of the signal, moment at which the log says it is done)"""
        done = self.gateway.log().count("reloaded: ")
        self.gateway.config.write_text(yaml)
        before = [len(line.reads) for line in self.lines]
        self.gateway.reload()
        wait_until(lambda: self.gateway.log().count("reloaded: ") > done, "the reload is done", step=0.005)
        return before, [len(line.reads) for line in self.lines]

    def test_one_changed_device_touches_one_source_and_loses_nothing(self):
        wait_until(lambda: len(self.served()) == DEVICES and min(self.served().values()) >= 3, "all are read", 30)
        yaml = self.gateway.config.read_text()
        device = yaml.index(f"name: device{CHANGED}\n")
        changed = yaml[:device] + yaml[device:].replace("interval: 1s", "interval: 500ms", 1)
        self.reload(changed)
        self.assertIn(f"reloaded: {DEVICES} devices on {LINES} sources; restarted: line{CHANGED}\n", self.gateway.log())
        wait_until(lambda: min(self.served().values()) >= 6, "all are read further", 30)
        self.assertEqual(self.wait_for_all(), {})
        # The next reload has to wait for a line whose device does not answer. The others are read meanwhile.
        self.lines[CHANGED].is_silent = True
        wait_until(lambda: self.lines[CHANGED].unanswered, "the silent device is asked", step=0.002)
        before, after = self.reload(yaml)
        least_of = dict(self.lines[CHANGED].counters[0])
        self.lines[CHANGED].is_silent = False
        for line in set(range(LINES)) - {CHANGED}:
            self.assertGreater(after[line], before[line], f"line {line} paused")
        least = self.served()[(CHANGED, 1)]
        wait_until(lambda: self.served()[(CHANGED, 1)] > least + 2, "the changed line is read again", 30)
        # What the device tells the source that was given up, which still asked, is heard by nobody.
        too_late = {((CHANGED, read.unit), read.value) for read in self.lines[CHANGED].reads if read.connection == 2
                    and read.value > least_of[read.unit]}
        missing = {(place, value) for place, values in self.wait_for_all().items() for value in values}
        self.assertEqual(missing - too_late, set())
        # The others have one connection each, from the first read to the last.
        self.assertEqual([line.connected for n, line in enumerate(self.lines) if n != CHANGED], [1] * (LINES - 1))
        self.assertEqual(self.lines[CHANGED].connected, 3)


COUNTING = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
"""
AND_CHILLER = """
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: plc, unit_id: 2, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
"""


class Queued(Scenario):
    """What waits in the queue when the configuration changes."""

    def setUp(self):
        super().setUp()
        self.plc.count_at(0)

    def reload(self, yaml):
        done = self.gateway.log().count("reloaded: ")
        self.gateway.config.write_text(yaml)
        self.gateway.reload()
        self.wait(lambda: self.gateway.log().count("reloaded: ") > done, "the reload is done")

    def served(self, unit):
        return self.plc.counters[0].get(unit, 0)

    def pile_up(self):
        """Both devices are read while the platform answers 503."""
        self.platform.behave(kind="status", status=503, count=0)
        self.start(COUNTING + AND_CHILLER)
        self.wait(lambda: self.served(1) > 20 and self.served(2) > 20, "readings pile up")

    def test_readings_of_a_removed_device_are_still_sent(self):
        self.pile_up()
        self.reload(self.yaml(COUNTING))
        until = self.served(2)
        self.platform.behave_well()
        self.wait_for_counter(until, device=CHILLER)
        self.assert_nothing_missing(until, device=CHILLER)
        self.assertEqual(self.served(2), until)

    def test_readings_of_a_removed_device_are_dropped_if_asked(self):
        self.pile_up()
        self.reload(self.yaml(COUNTING).replace("queue: {", "queue: {keep_removed: false, "))
        self.platform.behave_well()
        self.wait_for_counter(self.served(1))
        self.assertEqual(self.counters(device=CHILLER), [])
        self.assertRegex(self.gateway.log(), rf"\d+ readings of device {CHILLER} were dropped: it was removed")
        # The books balance: nothing of it waits for somebody who never comes.
        waiting = self.gateway.run("queue", "list", "--json").stdout
        self.assertNotIn(CHILLER, waiting)

    def test_readings_of_a_device_that_went_while_it_was_stopped_are_told_of_and_sent_when_it_is_back(self):
        self.pile_up()
        self.gateway.stop()
        until = self.served(2)
        self.platform.behave_well()
        self.gateway.config.write_text(self.yaml(COUNTING))
        self.gateway.start()
        told = rf"\d+ readings wait for device {CHILLER}, which the configuration does not have"
        self.wait(lambda: re.search(told, self.gateway.log()), "it is told")
        self.assertRegex(self.gateway.run("status").stdout, told)
        self.reload(self.yaml(COUNTING + AND_CHILLER))
        self.wait_for_counter(until, device=CHILLER)
        self.assert_nothing_missing(until, device=CHILLER)
        self.assertNotRegex(self.gateway.run("status").stdout, told)

    def test_a_changed_secret_applies_to_what_is_queued(self):
        wrong = "x" * 30
        (self.folder / "boiler").write_text(wrong)
        self.start(COUNTING)
        self.wait(lambda: "401" in self.gateway.log(), "the platform refuses it")
        self.wait(lambda: self.served(1) > 20, "readings pile up")
        self.assertEqual(self.counters(), [])
        (self.folder / "boiler").write_text(SECRETS[BOILER])
        self.reload(self.gateway.config.read_text())
        until = self.served(1)
        self.wait_for_counter(until)
        self.assert_nothing_missing(until)
        self.assertEqual(self.plc.connected, 1)  # a secret is no reason to restart a source
        self.assertNotIn(wrong, self.gateway.log())

    def test_a_wrong_file_is_refused_as_a_whole_with_its_errors(self):
        self.start(COUNTING)
        self.wait_for_counter(5)
        wrong = self.yaml(COUNTING + AND_CHILLER).replace("unit_id: 2", "unit_idd: 2").replace("max_age", "max_ago")
        self.gateway.config.write_text(wrong)
        self.gateway.reload()
        self.wait(lambda: "reload refused" in self.gateway.log(), "the reload is refused")
        self.assertRegex(self.gateway.log(), r"gateway\.yaml:2:\d+: error: .*max_ago.*max_age")
        self.assertRegex(self.gateway.log(), r"gateway\.yaml:\d+:\d+: error: .*unit_idd.*unit_id")
        until = self.served(1)
        self.wait_for_counter(until + 5)
        self.assert_nothing_missing(until + 5)
        self.assertEqual(self.served(2), 0)
        self.assertEqual(self.plc.connected, 1)


CONTROLLED = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC, timeout: 4s, retries: 0}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 300ms,
     points: [{name: setpoint, unit: Cel, holding: 200, type: float32, writable: {min: 5, max: 30}}]}
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: plc, unit_id: 2, interval: 300ms,
     points: [{name: level, holding: 400, writable: true}]}
"""


class SlowWrites(ModbusServer):
    """Holds every write until it is released."""

    def __init__(self):
        super().__init__()
        self.has_write, self.released = threading.Event(), threading.Event()

    def write(self, unit, function, address, body):
        self.has_write.set()
        self.released.wait(20)
        return super().write(unit, function, address, body)


class Commands(Scenario):
    def test_a_reload_in_the_middle_of_a_command_loses_none(self):
        self.plc = SlowWrites()
        self.addCleanup(self.plc.close)
        self.plc.set_float(200, 20)
        self.start(CONTROLLED)
        self.wait_for("setpoint", 20)
        self.wait_for("level", 0, device=CHILLER)
        self.platform.downlink(BOILER, [{"n": "setpoint", "v": 21.5}])
        self.wait(self.plc.has_write.is_set, "the first write is on the line")
        self.platform.downlink(CHILLER, [{"n": "level", "v": 77}])
        self.wait(lambda: self.gateway.run("commands", "list").stdout.count(": begun") == 2, "the second one waits for the line")
        self.gateway.config.write_text(self.gateway.config.read_text().replace("interval: 300ms", "interval: 200ms"))
        self.gateway.reload()
        self.wait(lambda: "restarted: plc" in self.gateway.log(), "the source is a new one")
        self.plc.released.set()
        self.wait_for("setpoint", 21.5)
        self.wait_for("level", 77, device=CHILLER)
        self.assertEqual(self.plc.written(400), [77])
        self.assertEqual(len(self.plc.written(200)), 1)
        listed = self.gateway.run("commands", "list").stdout.splitlines()
        self.assertEqual(len(listed), 2)
        for line in listed:
            self.assertIn(": done", line)


if __name__ == "__main__":
    main()
