# SPDX-License-Identifier: Apache-2.0
"""Reloads that change who a device is, and where it reports: its name, its DvnUUID, the platform's address."""

import json
import signal

from scenario import BOILER, CHILLER, SECRETS, Scenario, main
from support.simulator import Simulator

PUMPING = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}, {name: pump, coil: 3, writable: true}]}
"""


class Identity(Scenario):
    def setUp(self):
        super().setUp()
        self.plc.count_at(0)

    def reload(self, yaml):
        done = self.gateway.log().count("reloaded: ")
        self.gateway.config.write_text(yaml)
        self.gateway.reload()
        self.wait(lambda: self.gateway.log().count("reloaded: ") > done, "the reload is done")

    def served(self):
        return self.plc.counters[0].get(1, 0)

    def test_a_renamed_device_keeps_its_readings_and_hears_its_commands(self):
        self.platform.behave(kind="status", status=503, count=0)
        self.start(PUMPING, queue="keep_removed: false")
        self.wait(lambda: self.served() > 20, "readings pile up")
        self.reload(self.gateway.config.read_text().replace("name: boiler", "name: kettle"))
        self.platform.behave_well()
        until = self.served() + 5
        self.wait_for_counter(until)
        self.assert_nothing_missing(until)
        self.platform.downlink(BOILER, [{"n": "pump", "vb": True}])
        self.wait_for("pump", True)

    def test_a_corrected_dvnuuid_takes_the_readings_from_there_on(self):
        (self.folder / "boiler").write_text(SECRETS[CHILLER])
        wrong = "11111111-2222-4333-8444-555555555555"
        self.start(PUMPING.replace("BOILER", wrong))
        self.wait(lambda: "404" in self.gateway.log(), "the platform does not know it")
        self.reload(self.gateway.config.read_text().replace(wrong, CHILLER))
        until = self.served() + 5
        self.wait_for_counter(until, device=CHILLER)

    def test_another_address_of_the_platform_takes_over_at_once(self):
        self.start(PUMPING)
        self.wait_for_counter(3)
        self.platform.behave(kind="status", status=404, count=0)
        self.wait(lambda: "parked" in self.gateway.log(), "the address is the wrong one")
        other = Simulator(self.folder / "other", self.platform.devices)
        self.addCleanup(other.stop)
        text = self.gateway.config.read_text()
        self.reload(text.replace(self.platform.url, other.url).replace(str(self.platform.ca_file), str(other.ca_file)))
        until = self.served() + 5
        self.wait(lambda: until <= int((other.newest(name="counter") or {"value": 0})["value"]), "it has the newest", 10)
        self.assertNotIn("after a restart", self.gateway.log())
        both = {int(r["value"]) for p in (self.platform, other) for r in p.accepted(name="counter")}
        self.assertEqual(set(range(1, until + 1)) - both, set())

    def test_the_write_switch_of_a_source_lets_reading_go_on(self):
        self.start(PUMPING)
        self.wait_for_counter(3)
        on = self.gateway.config.read_text()
        self.reload(on.replace("plugin: modbus,", "plugin: modbus, writes: false,"))
        self.platform.downlink(BOILER, [{"n": "pump", "vb": True}])
        self.wait(lambda: "writes are switched off for source 'plc'" in self.gateway.log(), "it is refused")
        self.reload(on)
        self.platform.downlink(BOILER, [{"n": "pump", "vb": False}])
        self.wait(lambda: ": false written and read back" in self.gateway.log(), "it is written")
        until = self.served() + 5
        self.wait_for_counter(until)
        self.assert_nothing_missing(until)
        self.assertEqual(self.plc.connected, 1)

    def test_a_downlink_for_a_removed_device_is_refused_in_the_audit(self):
        (self.folder / "chiller").write_text(SECRETS[CHILLER])
        chiller = ("  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: plc, unit_id: 1, interval: 100ms,\n"
                   "     points: [{name: counter, holding: 0, type: uint32}, {name: valve, coil: 5, writable: true}]}\n")
        self.platform.behave(kind="status", status=503, count=0)
        self.start(PUMPING + chiller)
        self.wait(lambda: self.served() > 20, "readings pile up")
        self.reload(self.yaml(PUMPING))
        self.platform.downlink(CHILLER, [{"n": "valve", "vb": True}])
        self.platform.behave_well()
        self.wait(lambda: "no longer has this device" in self.gateway.run("commands", "list").stdout, "it is refused")

    def test_what_only_a_restart_changes_is_told_at_each_reload(self):
        self.start(PUMPING)
        self.wait_for_counter(3)
        other = self.gateway.config.read_text().replace("queue.db", "other.db")
        for times in (1, 2):
            self.reload(other)
            self.assertEqual(self.gateway.log().count("these changed and take effect after a restart: queue.path"), times)

    def test_alarms_go_with_their_device(self):
        secret = self.folder / "chiller"
        secret.write_text("x" * 30)
        two = PUMPING + """
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: plc, unit_id: 2, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
  - {name: cellar, dvnuuid: 11111111-2222-4333-8444-555555555555, secret: {file: chiller}, source: dead, interval: 100ms,
     points: [{name: level, holding: 0}]}
"""
        two = two.replace("sources:", "sources:\n  dead: {plugin: modbus, host: 127.0.0.1, tcp_port: 1, timeout: 100ms}")
        self.start(two)

        def alarms():
            return {a["key"] for a in json.loads(self.gateway.run("status", "--json").stdout)["alarms"]}
        self.wait(lambda: {"device/chiller/parked", "source/dead"} <= alarms(), "both are told of")
        self.reload(self.yaml(PUMPING))
        self.assertEqual(alarms(), set())
        self.assertEqual(self.gateway.run("status", "--json").stdout.count("chiller"), 0)


class Ending(Scenario):
    def test_more_signals_while_it_stops_change_nothing(self):
        self.plc.count_at(0)
        self.platform.behave(kind="silent", count=0)  # it then waits for uploads as long as it may
        self.start(PUMPING)
        self.wait(lambda: self.plc.counters[0].get(1, 0) > 20, "readings pile up")
        self.gateway.signal(signal.SIGTERM)
        self.wait(lambda: "stopping" in self.gateway.log(), "it stops")
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            self.gateway.signal(number)
        self.assertEqual(self.gateway.wait_for_end(), 0)
        self.assertEqual(self.gateway.log().count("info stopping"), 1)
        self.assertEqual(self.gateway.log().count("everything that was not sent is stored"), 1)
        until = self.plc.counters[0][1]
        self.platform.behave_well()
        self.gateway.start()
        self.wait_for_counter(until + 1)
        self.assert_nothing_missing(until)


if __name__ == "__main__":
    main()
