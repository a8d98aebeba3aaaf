# SPDX-License-Identifier: Apache-2.0
"""A reading reaches the server: values, units and times as the device had them."""

import json
import time

from scenario import BOILER, CHILLER, Scenario, main


class Readings(Scenario):
    def test_points_of_every_table_arrive_with_value_unit_and_time(self):
        self.plc.holding[100] = 0x10000 - 55
        self.plc.set_float(200, 21.5)
        self.plc.holding[300] = 1
        self.plc.holding[310:314] = [0x0020, 0x0000, 0x0000, 0x0001]
        self.plc.input[7] = 65535
        self.plc.coils[3] = True
        self.start("""
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - name: boiler
    dvnuuid: BOILER
    secret: {file: boiler}
    source: plc
    unit_id: 1
    interval: 200ms
    points:
      - {name: temperature, unit: Cel, holding: 100, type: int16, scale: 0.1}
      - {name: setpoint, unit: Cel, holding: 200, type: float32}
      - {name: mode, holding: 300, labels: {0: "off", 1: "on"}}
      - {name: total, unit: count, holding: 310, type: uint64}
      - {name: flow, input: 7, type: uint16}
      - {name: pump, coil: 3}
      - {name: door, discrete: 7}
""")
        begin = time.time()
        expected = {"temperature": (-5.5, "Cel"), "setpoint": (21.5, "Cel"), "mode": ("on", None), "flow": (65535, None),
                    "total": (9007199254740993.0, "count"), "pump": (True, None), "door": (False, None)}
        self.wait(lambda: {r["name"] for r in self.platform.accepted()} == set(expected), "all points have arrived")
        for reading in self.platform.accepted(device=BOILER):
            self.assertEqual((reading["value"], reading["unit"]), expected[reading["name"]])
            self.assertTrue(begin - 5 < reading["time"] <= time.time() + 0.1, reading)
        body = self.platform.control("GET", "/packs")["packs"][0]
        first, *others = json.loads(body)
        self.assertEqual(first["bn"], f"urn:dev:DVNUUID:{BOILER}:")
        self.assertIn("bt", first)
        self.assertFalse(any({"bn", "bt"} & set(record) for record in others))
        self.assertNotIn(" ", body)
        self.plc.holding[100] = 200
        self.wait_for("temperature", 20)

    def test_a_dead_source_and_a_refused_device_do_not_harm_the_others(self):
        self.plc.count_at(0)
        self.platform.control("DELETE", "/devices", id=CHILLER)
        self.start("""
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
  dead: {plugin: modbus, host: 127.0.0.1, tcp_port: 1}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 200ms,
     points: [{name: counter, holding: 0, type: uint32}]}
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: plc, unit_id: 2, interval: 200ms,
     points: [{name: counter, holding: 0, type: uint32}, {name: lost, source: dead, holding: 0}]}
""")
        self.wait_for_counter(20)
        self.assert_nothing_missing(20)
        self.assertTrue(any(r["status"] == 404 for r in self.platform.refused()))
        # Registered at last, the device drains by itself: nothing it read meanwhile was dropped.
        self.platform.control("POST", "/devices", {"id": CHILLER, "secret": "ZYXWVUTSRQPONMLKJIHGFEDCBA0123456789"})
        self.gateway.reload()
        self.wait(lambda: self.counters(device=CHILLER), "the chiller is accepted", 90)
        newest = max(self.counters(device=CHILLER))
        self.wait(lambda: set(range(1, newest + 1)) <= set(self.counters(device=CHILLER)), "its backlog has drained")


if __name__ == "__main__":
    main()
