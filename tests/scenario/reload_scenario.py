# SPDX-License-Identifier: Apache-2.0
"""Reloads that change who a device is, and where it reports: its name, its DvnUUID, the platform's address."""

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


if __name__ == "__main__":
    main()
