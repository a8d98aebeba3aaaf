# SPDX-License-Identifier: Apache-2.0
"""Meters and sensors on serial lines (pty pairs) and serial servers (TCP): their values reach the platform, and a downlink
reaches the sensor. The line itself is tests/support/line.py."""

import pathlib
import shutil
import threading

from scenario import BOILER, Scenario, main
from support.line import SerialLine, TcpLine

ROOT = pathlib.Path(__file__).parents[2]
TELEGRAMS = ROOT / "tests/plugins/p1/telegrams"

METER = """
sources: {meter: {plugin: p1, SOURCE}}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: meter, interval: 1s, POINTS}
"""


def seven_bits(data):
    """7E1 read as 8N1: even parity stands in bit 7."""
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in data)


class Device:
    """Does the same again and again in a thread of its own until the block ends."""

    def __init__(self, turn):
        self.turn, self.is_over = turn, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_over.is_set():
            self.turn()

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


class Lines(Scenario):
    def line(self, line):
        self.addCleanup(line.close)
        return line

    def meter(self, source, points="profile: dsmr"):
        shutil.copytree(ROOT / "etc/profiles", self.folder / "profiles")
        self.start(METER.replace("SOURCE", source).replace("POINTS", points))

    def values(self):
        return {r["name"]: (r["value"], r["unit"]) for r in self.platform.accepted(device=BOILER)}

    def test_a_smart_meter_gives_the_values_of_its_profile_with_the_times_that_belong_to_them(self):
        line = self.line(SerialLine())
        telegram = (TELEGRAMS / "nl-dsmr50-3ph-export-4mbus.txt").read_bytes()
        self.meter(f"port: {line.path}, clock: meter")
        with Device(lambda: (line.send(telegram), line.get(0.5))):
            self.wait(lambda: {"power", "volumeGas", "energyExportT2", "electricCurrentL3"} <= set(self.values()),
                      "the meter's values have arrived")
        values = self.values()
        self.assertEqual(values["powerExport"], (6318, "W"))
        self.assertEqual(values["energyImportT1"], (2614330, "Wh"))
        self.assertEqual(values["tariff"], (2, None))
        self.assertEqual(values["electricPotentialL1"], (241.7, "V"))
        self.assertEqual(values["volumeGas"], (9812.556, "m3"))
        self.assertEqual(values["longPowerFailures"], (3, "count"))
        self.assertEqual(self.platform.newest(device=BOILER, name="volumeGas")["time"], 1782040205)  # 13:10:05 in June
        self.assertEqual(self.platform.count(device=BOILER, name="volumeGas"), 1)  # one capture, however often it is sent

    def test_an_encrypted_meter_behind_a_serial_server_is_read_also_after_the_server_went_away(self):
        line = self.line(TcpLine())
        (self.folder / "key").write_text("5A17C0DE0011223344556677DEADBEEF\n")
        (self.folder / "key").chmod(0o600)
        self.meter(f"host: 127.0.0.1, tcp_port: {line.port}, key: {{file: key}}",
                   "points: [{name: power, unit: W, value: power}, {name: energy, unit: Wh, value: energyImport}]")
        sample = (TELEGRAMS / "lu-smarty-encrypted.bin").read_bytes()
        self.wait(line.is_open, "the gateway has connected")
        line.send(sample)
        self.wait(lambda: self.values() == {"power": (405, "W"), "energy": (125653, "Wh")}, "the meter's values have arrived")
        before = self.platform.count(device=BOILER, name="power")
        line.hang_up()
        self.wait(line.is_open, "the gateway has connected again")
        line.send(sample)
        self.wait(lambda: self.platform.count(device=BOILER, name="power") > before, "values arrive again")
        self.assertNotIn("5A17C0DE", self.gateway.log())

    def test_an_old_meter_is_found_at_9600_7e1(self):
        line = self.line(SerialLine(baud=9600))
        telegram = (TELEGRAMS / "nl-dsmr22-two-line-gas.txt").read_bytes()
        seen = []

        def send():
            """What a UART with the gateway's present setting would make of it."""
            setting = line.settings()
            seen.append(setting)
            line.send({(9600, True): telegram, (9600, False): seven_bits(telegram)}.get(setting, b"\x00\xf8\x80" * 40))
            line.get(0.2)

        self.meter(f"port: {line.path}", "points: [{name: power, unit: W, value: power}, {name: gas, unit: m3, medium: gas}]")
        with Device(send):
            self.wait(lambda: self.values() == {"power": (980, "W"), "gas": (1124.477, "m3")}, "the meter's values have arrived", 40)
        self.assertIn((115200, False), seen)
        self.assertEqual(seen[-1], (9600, True))

    def test_sensors_that_talk_and_that_are_asked_share_a_line_and_a_downlink_is_written_to_it(self):
        line = self.line(SerialLine(baud=9600))
        state = {"setpoint": 200, "writes": []}

        def answer():
            line.received += line.get(0.05)
            while b"\r" in line.received:
                request, line.received = line.received.split(b"\r", 1)
                if request == b"RS":
                    line.send(b"SP=%04d\r\n" % state["setpoint"])
                elif request[:2] == b"SP":
                    state["writes"].append(request)
                    state["setpoint"] = int(request[2:])
                    line.send(b"OK\r\n")
            line.send(b"$YXXDR,C,-3.1,C,T1*2B\r\n$YXXDR,C,-9.9,C,T1*2B\r\n")  # the second one's checksum is wrong

        self.start(f"""
sources:
  heater: {{plugin: serial, port: {line.path}, baud: 9600, checksum: nmea_optional}}
devices:
  - name: boiler
    dvnuuid: BOILER
    secret: {{file: boiler}}
    source: heater
    interval: 500ms
    points:
      - {{name: outside, unit: Cel, match: '^.YXXDR,C,(-?[\\d.]+)'}}
      - name: setpoint
        unit: Cel
        request: 'RS\\r'
        match: '^SP=(\\d+)'
        scale: 0.1
        writable: {{min: 5, max: 30}}
        write: 'SP{{value:04d}}\\r'
        expect: '^OK'
        refuse: '^ERR'
""")
        with Device(answer):
            self.wait_for("setpoint", 20)
            self.wait_for("outside", -3.1)
            self.platform.downlink(BOILER, [{"n": "setpoint", "u": "Cel", "v": 21.46}])
            self.wait_for("setpoint", 21.5)
            self.platform.downlink(BOILER, [{"n": "setpoint", "u": "Cel", "v": 31}])
            self.wait(lambda: not self.platform.control("GET", "/downlinks")["waiting"], "the second was handed over")
            by_hand = self.gateway.run("read", "boiler", "setpoint", "--json")
            self.assertEqual(by_hand.returncode, 0, by_hand.stderr)
        self.assertEqual(state["writes"], [b"SP0215"])
        self.assertEqual({r["value"] for r in self.platform.accepted(device=BOILER, name="outside")}, {-3.1})
        plan = self.gateway.run("check")
        self.assertRegex(plan.stdout, r"plan: 1 request a cycle, predicted 2\d ms")


if __name__ == "__main__":
    main()
