# SPDX-License-Identifier: Apache-2.0
"""Every rule of a command over the whole path: the platform hands it out, the gateway takes it or not, and what was said
on the bus is the expectation. The device is read hourly, so what its transcript shows was said because of a command; a
simulated point makes the gateway post five times a second."""

import json
import time

from scenario import BOILER, CHILLER, Scenario, main
from support.modbus_server import COILS, HOLDING, ModbusServer

SITE = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
  fake: {plugin: simulated}
devices:
  - name: boiler
    dvnuuid: BOILER
    secret: {file: boiler}
    source: plc
    interval: 1h
    points:
      - {name: beat, source: fake, interval: 200ms}
      - {name: temperature, holding: 100}
POINTS
  - name: chiller
    dvnuuid: CHILLER
    secret: {file: chiller}
    source: plc
    unit_id: 2
    interval: 1h
    commands: each
    points:
      - {name: beat, source: fake, interval: 200ms}
      - {name: temperature, holding: 100}
      - {name: level, holding: 410, writable: {max: 10}}
      - {name: mode, holding: 310, writable: true, labels: {0: "off", 1: "on"}}
"""
SETPOINT = '{name: setpoint, unit: Cel, holding: 200, writable: {min: 5, max: 30, outcome: said}}'


class Commands(Scenario):
    def begin(self, *points, text="", sources=""):
        """Starts the gateway with these points of the boiler; the transcript begins when each was read once."""
        self.said = 0
        self.start(self.site(*points).replace("devices:", sources + "devices:") + text, max_age="100ms")
        self.wait(lambda: self.platform.newest(device=BOILER, name="beat"), "the gateway posts")
        addresses = [address for point in (*points, "holding: 310", "holding: 410") for address in self.addresses(point)]
        self.wait(lambda: all(self.plc.talk(*address) for address in addresses), "each point was read")
        self.plc.transcript.clear()

    @staticmethod
    def site(*points):
        return SITE.replace("POINTS", "\n".join(f"      - {point}" for point in points))

    @staticmethod
    def addresses(point):
        for key, table in (("holding: ", HOLDING), ("coil: ", COILS)):
            if key in point and "source: field" not in point:
                yield int(point.split(key)[1].split(",")[0].rstrip("}")), table

    def ask(self, *records, device=BOILER):
        """Has the platform hand this out; returns when it did."""
        return self.ask_body(json.dumps(records), device)

    def ask_body(self, body, device=BOILER):
        answer = self.platform.control("POST", "/downlinks", {"device": device, "body": body})
        self.wait(lambda: answer["ids"][-1] in self.handed_over(), "it was handed over")
        return time.monotonic()

    def handed_over(self):
        return [d["id"] for d in self.platform.control("GET", "/downlinks")["handed_over"]]

    def told(self, name="said", device=BOILER):
        """What the gateway told the operator next, in the platform's record of texts."""
        self.wait(lambda: self.platform.count(device=device, name=name) > self.said, "the operator was told")
        self.said += 1
        return self.platform.accepted(device=device, name=name)[self.said - 1]["value"]

    def audit(self, device="boiler", **match):
        """The audit trail, oldest first, as the command line shows it."""
        lines = json.loads(self.gateway.run("commands", "list", device, "--json").stdout)
        return [line for line in reversed(lines) if all(line[key] == value for key, value in match.items())]

    def wait_for_audit(self, what, **match):
        return self.wait(lambda: self.audit(**match), what)

    def when_written(self, address):
        return [at for at, verb, _, _, first, values in self.plc.transcript
                if verb == "writes" and first <= address < first + len(values)]

    def restart_at(self, moment):
        """kill -9 now, started again at this moment."""
        self.gateway.kill()
        self.wait(lambda: time.monotonic() >= moment, "the gateway was down long enough", 60)
        self.gateway.start()

    # From answer to command

    def test_a_pack_is_carried_out_as_a_whole_and_in_order(self):
        self.begin('{name: setpoint, unit: Cel, holding: 200, type: float32, writable: true}', '{name: pump, coil: 3, writable: true}',
                   '{name: mode, holding: 300, writable: true, labels: {0: "off", 1: "on"}}', '{name: level, holding: 400, writable: true}',
                   '{name: note, holding: 500, type: string, length: 2, writable: true}')
        own = f"urn:dev:DVNUUID:{BOILER.upper()}:"
        self.ask({"n": own + "mode", "vs": "on"}, {"bn": own, "bu": "Cel"}, {"n": "setpoint", "v": 215e-1}, {"bu": "", "bv": 5},
                 {"n": "level", "v": 2}, {"bver": 10, "n": "pump", "vb": True}, {"n": "note", "vs": "ok"}, {"n": "mode", "v": -5})
        self.wait(lambda: len(self.plc.writes) == 6, "six values are written")
        self.assertEqual([(unit, address, values) for _, unit, _, address, values in self.plc.writes],
                         [(1, 300, [1]), (1, 200, [0x41AC, 0]), (1, 400, [7]), (1, 3, [True]), (1, 500, [0x6F6B, 0]), (1, 300, [0])])
        self.wait_for("note", "ok")
        self.wait_for("mode", "off")

    def test_one_refused_record_refuses_all_or_itself(self):
        self.begin('{name: level, holding: 400, writable: {max: 10, outcome: said}}')
        self.ask({"n": "level", "v": 8}, {"n": "temperature", "v": 1})
        self.assertEqual(self.told(), "refused: refused together with 'temperature': it is read only")
        self.ask({"n": "level", "v": 11}, {"n": "level", "v": 9}, {"n": "nothing", "v": 1}, {"n": "mode", "vs": "on"}, device=CHILLER)
        self.wait_for("mode", "on", device=CHILLER)
        self.assertEqual(self.plc.talk(400), [])
        self.assertEqual(self.plc.talk(410), ["writes 9", "reads 9"])
        self.assertEqual([line["state"] for line in self.audit("chiller")], ["refused", "done", "refused", "done"])

    def test_each_record_has_its_time(self):
        self.begin('{name: level, holding: 400, writable: {outcome: said}}')
        begin = self.ask({"n": "level", "v": 3, "t": time.time() + 1.2}, {"n": "level", "v": 2, "t": 0.5}, {"n": "level", "v": 1})
        self.wait(lambda: len(self.plc.writes) == 3, "all are written")
        self.assertEqual(self.plc.written(400), [1, 2, 3])
        first, second, third = self.when_written(400)
        self.assertLess(first - begin, 0.5)
        self.assertTrue(0.3 < second - begin < 1.0, second - begin)
        self.assertTrue(0.8 < third - begin < 2.0, third - begin)
        self.said = 3
        self.ask({"n": "level", "v": 4, "t": time.time() - 3600})
        self.assertRegex(self.told(), r"refused: its time was 3600 s ago, and it holds for 60 s")
        self.ask({"n": "level", "v": 5, "t": 8 * 24 * 3600})
        self.assertEqual(self.told(), "refused: its time is more than 7 days ahead")
        self.assertEqual(self.plc.written(400), [1, 2, 3])

    def test_nothing_is_written_after_its_ttl(self):
        """Behind a device that says nothing, and over a restart."""
        slow = ModbusServer()
        self.addCleanup(slow.close)
        field = f"  field: {{plugin: modbus, host: 127.0.0.1, tcp_port: {slow.port}, timeout: 1s}}\n"
        self.begin('{name: level, holding: 400, writable: {ttl: 1s, outcome: said}}', '{name: valve, holding: 600, writable: true}',
                   '{name: flow, source: field, holding: 700, interval: 100ms}',
                   '{name: gate, source: field, holding: 800, writable: {ttl: 300ms}}', sources=field)
        self.wait(lambda: slow.talk(700), "the slow device is read")
        slow.is_silent = True
        self.ask({"n": "gate", "v": 1})
        begin = self.ask({"n": "level", "v": 9, "t": 1})
        self.ask({"n": "valve", "v": 7, "t": 1})
        self.wait_for_audit("both are stored", state="waiting", point="valve")
        self.wait_for_audit("the gate's command has ended", point="gate", state="failed")
        self.restart_at(begin + 2.1)
        slow.is_silent = False
        self.assertRegex(self.told(), "expired before it could begin")
        self.wait_for("valve", 7)
        self.wait(lambda: len(slow.talk(700)) > 3, "the slow device is read again")
        self.assertEqual(self.plc.written(600), [7])
        self.assertEqual(self.plc.written(400), [])
        self.assertEqual(slow.writes, [])

    def test_what_is_on_the_bus_when_the_gateway_is_stopped(self):
        """It has begun: it is verified at the next start, neither given up nor repeated."""
        self.begin('{name: level, holding: 400, writable: {outcome: said}}')
        self.plc.delay = 0.5
        self.ask({"n": "level", "v": 8})
        self.wait(lambda: self.plc.writes, "it is on the bus")
        code, seconds = self.gateway.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 5)
        self.plc.delay = 0
        self.gateway.start()
        self.assertEqual(self.told(), "8 read back after the gateway was restarted")
        self.assertEqual(self.plc.written(400), [8])
        self.assertNotIn("hangs", self.gateway.log())

    # Limits

    def test_limits(self):
        self.plc.holding[200] = 20
        self.begin('{name: setpoint, unit: Cel, holding: 200, writable: {min: 5, max: 30, max_step: 5, outcome: said}}',
                   '{name: mode, holding: 300, writable: {allowed: [0, 2], outcome: said}}',
                   '{name: paced, holding: 600, writable: {min_interval: 1h, outcome: said}}')
        for record, words in (
                ({"n": "setpoint", "v": 31}, "refused: 31 Cel is above its maximum 30 Cel"),
                ({"n": "setpoint", "v": 4.9}, "refused: 4.9 Cel is below its minimum 5 Cel"),
                ({"n": "setpoint", "u": "K", "v": 21}, "refused: its unit is 'Cel', not 'K'"),
                ({"n": "setpoint", "vs": "21"}, "refused: '21' is not a number"),
                ({"n": "mode", "v": 1}, "refused: 1 is none of its allowed values"),
                ({"n": "setpoint", "v": 26}, "refused: the step from 20 Cel to 26 Cel is larger than 5"),
                ({"n": "setpoint", "v": 24}, "24 Cel written and read back, was 20 Cel"),
                ({"n": "setpoint", "v": 28}, "28 Cel written and read back, was 24 Cel"),
                ({"n": "mode", "v": 2}, "2 written and read back, was 0"),
                ({"n": "paced", "v": 1}, "1 written and read back, was 0"),
                ({"n": "paced", "v": 2}, "refused: it may be written every 3600 s only")):
            self.ask(record)
            self.assertEqual(self.told(), words)
        # The step is measured from the present value; what no limit allows is not even read.
        self.assertEqual(self.plc.talk(200), ["reads 20", "reads 20", "writes 24", "reads 24", "reads 24", "writes 28", "reads 28"])
        self.assertEqual(self.plc.talk(300), ["writes 2", "reads 2"])
        self.assertEqual(self.plc.talk(600), ["writes 1", "reads 1"])

    def test_a_value_is_read_back_and_a_mismatch_told(self):
        self.plc.lags = {300: 0.4, 600: 0.4}
        self.plc.ignores = {200: 1, 400: 2, 500: 1}
        self.begin(*(f'{{name: {name}, holding: {address}, writable: {{outcome: said, {rules}}}}}' for name, address, rules in (
            ("once", 200, "retry: true"), ("twice", 400, "retry: true"), ("none", 500, "retry: false"),
            ("settles", 300, "settle: 600ms"), ("hasty", 600, "settle: 0s"))))
        for name, words in (("once", "7 written and read back, was 0"), ("twice", "7 was written twice, but it reads back 0"),
                            ("none", "7 was written, but it reads back 0"), ("settles", "7 written and read back, was 0"),
                            ("hasty", "7 was written, but it reads back 0")):
            self.ask({"n": name, "v": 7})
            self.assertEqual(self.told(), words)
        self.assertEqual(self.plc.talk(200), ["writes 7", "reads 0", "writes 7", "reads 7"])
        self.assertEqual(self.plc.talk(400), ["writes 7", "reads 0"] * 2)
        self.assertEqual(self.plc.talk(500), ["writes 7", "reads 0"])
        self.assertEqual(self.plc.talk(300), ["writes 7", "reads 7"])
        self.assertEqual([r["value"] for r in self.platform.accepted(device=BOILER, name="twice")], [0, 0])
        self.assertEqual(self.platform.newest(device=BOILER, name="settles")["value"], 7)

    def test_a_set_point_falls_back_unless_it_is_renewed(self):
        """Also when nobody was there to renew it because the gateway was down."""
        self.begin('{name: setpoint, unit: Cel, holding: 200, writable: {revert: {after: 1200ms, to: 20}, outcome: said}}')
        self.ask({"n": "setpoint", "v": 25})
        self.assertRegex(self.told(), "25 Cel written and read back")
        self.ask({"n": "setpoint", "v": 25})
        self.assertRegex(self.told(), "not repeated")
        self.ask({"n": "setpoint", "v": 26})
        self.wait(lambda: self.plc.written(200) == [25, 26, 20], "it fell back")
        _, second, third = self.when_written(200)
        self.assertTrue(1.0 < third - second < 3, third - second)
        self.assertRegex(self.told(), "26 Cel written and read back")
        self.assertRegex(self.told(), "fell back: 20 Cel written and read back")
        begin = self.ask({"n": "setpoint", "v": 27})
        self.wait(lambda: self.plc.written(200)[3:] == [27], "it is written")
        self.restart_at(begin + 1.3)
        self.wait(lambda: self.plc.written(200)[4:] == [20], "it fell back after the restart")
        self.assertRegex(self.told(), "27 Cel written and read back|27 Cel read back after the gateway was restarted")
        self.assertRegex(self.told(), "fell back: 20 Cel written and read back")

    def test_two_switches_turn_writes_off_and_reading_goes_on(self):
        points = ('{name: level, holding: 400, writable: {outcome: said}}', '{name: temperature2, holding: 120, interval: 200ms}')
        site = self.site(*points)
        self.begin(*points, text="writes: false\n")
        self.ask({"n": "level", "v": 1})
        self.assertEqual(self.told(), "refused: writes are switched off")
        for source, words in (("tcp_port: PLC, writes: false", "refused: writes are switched off for source 'plc'"),
                              ("tcp_port: PLC", "3 written and read back, was 0")):
            self.gateway.config.write_text(self.yaml(site.replace("tcp_port: PLC", source), max_age="100ms"))
            before = self.gateway.log().count("reloaded")
            self.gateway.reload()
            self.wait(lambda: self.gateway.log().count("reloaded") > before, "the configuration is taken")
            reads = len(self.plc.talk(120))
            self.ask({"n": "level", "v": 3})
            self.assertEqual(self.told(), words)
            self.wait(lambda: len(self.plc.talk(120)) > reads, "reading goes on")
        self.assertEqual(self.plc.written(400), [3])

    # Once

    def test_the_same_again_is_told_and_not_carried_out(self):
        """Within the point's window, also over a restart; and where each repetition means something, it is carried out."""
        self.begin('{name: level, holding: 400, writable: {outcome: said}}',
                   '{name: step, holding: 600, writable: {repeat_window: 0s, outcome: said}}')
        self.ask({"n": "level", "v": 5})
        self.assertEqual(self.told(), "5 written and read back, was 0")
        self.ask({"n": "level", "v": 5})
        self.assertRegex(self.told(), "the same as [0-9]+ s ago, not repeated; then: 5 written and read back, was 0")
        self.restart_at(0)
        self.ask({"n": "level", "v": 5})
        self.assertRegex(self.told(), "the same as [0-9]+ s ago, not repeated; then: 5 written and read back, was 0")
        self.assertEqual(self.plc.written(400), [5])
        self.assertGreaterEqual([r["value"] for r in self.platform.accepted(device=BOILER, name="level")].count(5), 3)
        for _ in range(2):
            self.ask({"n": "step", "v": 1})
            self.assertRegex(self.told(), "1 written and read back")
        self.assertEqual(self.plc.written(600), [1, 1])

    # Fast, and never a storm

    def test_the_next_is_fetched_at_once_and_a_storm_is_bounded(self):
        """The device itself posts once an hour; downlink_poll asks for it."""
        site = self.site('{name: level, holding: 400, writable: {repeat_window: 1h}}').replace("interval: 200ms", "interval: 1h")
        self.start(site, max_age="2s", things="downlink_poll: 1s")
        self.wait(lambda: self.platform.newest(device=BOILER, name="beat"), "the gateway posted")
        packs = self.platform.stats()["accepted_packs"]
        for value in range(1, 9):
            self.platform.downlink(BOILER, [{"n": "level", "v": value}])
        first = self.wait(self.handed_over, "downlink_poll fetched the first", 5) and time.monotonic()
        self.wait(lambda: len(self.handed_over()) == 8, "all are fetched")
        self.assertLess(time.monotonic() - first, 3)
        self.wait(lambda: self.plc.written(400) == list(range(1, 9)), "all are carried out, in order")
        self.assertGreater(self.platform.stats()["accepted_packs"], packs)
        self.platform.downlink(BOILER, [{"n": "level", "v": 9}], times=500)
        begin = time.monotonic()
        self.wait(lambda: len(self.handed_over()) >= 30, "the burst is over")
        self.wait(lambda: time.monotonic() > begin + 4, "some time has passed")
        # 30 at once, then one in two seconds; downlink_poll and max_age add what they would anyway.
        self.assertLess(len(self.handed_over()), 8 + 30 + (time.monotonic() - begin) * 2 + 3)
        self.assertEqual(self.plc.written(400), list(range(1, 10)))


if __name__ == "__main__":
    main()
