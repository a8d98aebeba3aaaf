# SPDX-License-Identifier: Apache-2.0
"""A downlink reaches the register and its outcome the server; what is not allowed changes nothing."""

import time

from scenario import BOILER, CHILLER, Scenario, main

CONTROLLED = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - name: boiler
    dvnuuid: BOILER
    secret: {file: boiler}
    source: plc
    interval: 300ms
    points:
      - {name: setpoint, unit: Cel, holding: 200, type: float32, writable: {min: 5, max: 30}}
      - {name: pump, coil: 3, writable: true}
      - {name: mode, holding: 300, writable: true, labels: {0: "off", 1: "on"}}
      - {name: temperature, unit: Cel, holding: 100}
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: plc, unit_id: 2, interval: 300ms,
     points: [{name: level, holding: 400, writable: true}]}
"""


class Downlinks(Scenario):
    def begin(self):
        self.plc.set_float(200, 20)
        self.start(CONTROLLED)
        self.wait_for("setpoint", 20)

    def hand_over(self, records, device=BOILER, **more):
        """Queues a downlink and waits until the platform handed it over."""
        ids = self.platform.downlink(device, records, **more)
        self.wait(lambda: ids[-1] in [d["id"] for d in self.platform.control("GET", "/downlinks")["handed_over"]],
                  "the downlink was handed over")
        return time.monotonic()

    def wait_for_uploads(self, count=3):
        """Waits for so many more packs: time enough for what was received to be carried out."""
        now = self.platform.stats()["accepted_packs"]
        self.wait(lambda: self.platform.stats()["accepted_packs"] >= now + count, "uploads go on")

    def test_it_is_written_and_the_value_read_back_is_sent_at_once(self):
        self.begin()
        begin = self.hand_over([{"n": "setpoint", "u": "Cel", "v": 21.5}])
        self.wait(lambda: self.plc.float_at(200) == 21.5, "the register has the value")
        self.assertLess(self.plc.writes[-1][0] - begin, 1)
        self.wait_for("setpoint", 21.5)
        self.assertEqual(len(self.plc.writes), 1)

    def test_each_kind_of_value_is_carried_out(self):
        self.begin()
        self.hand_over([{"n": "pump", "vb": True}, {"n": "mode", "vs": "on"}])
        self.wait_for("pump", True)
        self.wait_for("mode", "on")
        self.assertTrue(self.plc.coils[3])
        self.assertEqual(self.plc.holding[300], 1)

    def test_a_base_only_record_and_odd_numbers_are_understood(self):
        self.begin()
        self.platform.control("POST", "/downlinks", {
            "device": BOILER, "content_type": "text/plain",
            "body": f'[{{"bn":"urn:dev:DVNUUID:{BOILER}:"}},{{"n":"setpoint","v":2.25E1,"unknown":[1,{{}}]}}]\n'})
        self.wait_for("setpoint", 22.5)

    def test_several_waiting_downlinks_are_fetched_one_after_the_other(self):
        self.begin()
        for value in (10, 11, 12, 13):
            self.platform.downlink(BOILER, [{"n": "setpoint", "v": value}])
        self.wait(lambda: self.plc.float_at(200) == 13, "the last one is carried out", 10)
        self.wait_for("setpoint", 13)
        self.assertEqual(len(self.plc.writes), 4)

    def test_the_same_downlink_handed_out_again_acts_once(self):
        self.begin()
        self.hand_over([{"n": "setpoint", "v": 25}], times=3)
        self.wait_for("setpoint", 25)
        self.wait_for_uploads()
        self.assertEqual(len(self.plc.writes), 1)

    def test_what_is_not_allowed_changes_nothing_and_is_logged(self):
        self.begin()
        own = f"urn:dev:DVNUUID:{BOILER}:"
        for records in ([{"n": "setpoint", "v": 31}], [{"n": "setpoint", "v": 4.99}], [{"n": "setpoint", "vs": "21"}],
                        [{"n": "setpoint", "v": 21, "must_": 1}], [{"n": "temperature", "v": 1}], [{"n": "nothing", "v": 1}],
                        [{"n": "mode", "vs": "sideways"}], [{"n": "level", "v": 1}],
                        [{"bn": f"urn:dev:DVNUUID:{CHILLER}:", "n": "level", "v": 1}],
                        [{"bn": own, "n": "setpoint", "v": 21}, {"n": "temperature", "v": 1}],
                        [{"bn": own, "bt": time.time() - 3600, "n": "setpoint", "v": 21}]):
            self.hand_over(records)
        for body in ("", "garbage", "[", "{}", "[]", "[null]", "[" * 50000, "\x00\xff", "[{\"n\":\"setpoint\",\"v\":1e999}]",
                     "x" * 1000000):
            self.platform.control("POST", "/downlinks", {"device": BOILER, "body": body, "status": 202})
        self.wait(lambda: not self.platform.control("GET", "/downlinks")["waiting"], "all were handed over", 60)
        self.wait_for_uploads()
        self.assertEqual(self.plc.writes, [])
        self.assertIsNone(self.gateway.process.poll())
        self.assertRegex(self.gateway.log(), r"(?s)setpoint.*\b30\b")
        # And the next proper one is carried out as if nothing had been.
        self.hand_over([{"n": "setpoint", "v": 19}])
        self.wait_for("setpoint", 19)


if __name__ == "__main__":
    main()
