# SPDX-License-Identifier: Apache-2.0
"""Writes and reads by hand through the running daemon: the same checks, the same path, the same audit; who may is decided
by the permissions of the socket. And the audit itself, in the journal and in the queue."""

import contextlib
import json
import os
import pathlib
import socket
import stat
import struct
import subprocess
import threading

from scenario import BOILER, Scenario, main
from support.control import Control
from support.gateway import Gateway, within_reach
from support.modbus_server import COILS

SITE = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - name: boiler
    dvnuuid: BOILER
    secret: {file: boiler}
    source: plc
    interval: 1h
    points:
      - {name: setpoint, unit: Cel, holding: 200, writable: {min: 5, max: 30, max_step: 5, repeat_window: 1h}}
      - {name: pump, coil: 3, writable: {min_interval: 0s}}
      - {name: mode, holding: 300, labels: {0: "off", 1: "on"}, writable: {min_interval: 1h}}
      - {name: temperature, unit: Cel, holding: 120, interval: 100ms}
"""
# A journal of our own in place of the machine's, for one process: its socket is bound over systemd's.
WITH_JOURNAL = """mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && : >/run/systemd/journal/socket &&
mount --bind "$0" /run/systemd/journal/socket && JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr) exec "$@" """


class ByHand(Scenario):
    def begin(self, **more):
        self.plc.holding[200] = 20
        self.start(SITE, **more)
        self.wait_for("setpoint", 20)
        self.wait(lambda: self.plc.talk(3, COILS) and self.plc.talk(300), "each point was read")
        self.plc.transcript.clear()

    def write(self, point, value):
        """(exit code, what it said) of `write boiler POINT VALUE`."""
        ended = self.gateway.run("write", "boiler", point, value)
        return ended.returncode, (ended.stdout + ended.stderr).strip()

    def audit(self, *fields):
        lines = json.loads(self.gateway.run("commands", "list", "boiler", "--json").stdout)
        return [tuple(line[field] for field in fields) for line in reversed(lines)]

    def test_the_same_checks_and_the_same_path_as_a_downlink(self):
        self.begin()
        self.assertEqual(self.write("setpoint", "24"), (0, "setpoint: 24 Cel written and read back, was 20 Cel"))
        self.assertEqual(self.write("setpoint", "31")[0], 1)
        self.assertIn("setpoint: refused: 31 Cel is above its maximum 30 Cel", self.write("setpoint", "31")[1])
        self.assertIn("setpoint: refused: the step from 24 Cel to 30 Cel is larger than 5", self.write("setpoint", "30")[1])
        self.assertIn("temperature: refused: it is read only", self.write("temperature", "1")[1])
        self.assertEqual(self.write("nothing", "1"), (64, "error: 'boiler' has no point 'nothing'"))
        self.assertEqual(self.write("pump", "on")[0], 0)
        self.assertEqual(self.write("mode", "on"), (0, "mode: on (1) written and read back, was off (0)"))
        self.assertIn("mode: refused: it may be written every 3600 s only", self.write("mode", "off")[1])
        # A technician means it: the same again is carried out again.
        self.assertEqual(self.write("setpoint", "24")[0], 0)
        self.assertEqual(self.plc.talk(200), ["reads 20", "writes 24", "reads 24", "reads 24", "reads 24", "writes 24", "reads 24"])
        self.assertEqual(self.plc.talk(3, COILS), ["writes 1", "reads 1"])
        self.assertEqual(self.plc.talk(300), ["writes 1", "reads 1"])
        self.assertEqual(self.audit("origin", "point", "value", "before", "after", "state"), [
            ("local", "setpoint", "24", "20", "24", "done"), ("local", "setpoint", "31", "", "", "refused"),
            ("local", "setpoint", "31", "", "", "refused"), ("local", "setpoint", "30", "24", "", "refused"),
            ("local", "temperature", "1", "", "", "refused"), ("local", "pump", "true", "false", "true", "done"),
            ("local", "mode", "1", "off", "on", "done"), ("local", "mode", "0", "", "", "refused"),
            ("local", "setpoint", "24", "24", "24", "done")])
        self.wait_for("mode", "on")

    def test_who_may_not_open_the_socket_may_not_write(self):
        self.begin()
        path = self.folder / "control.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        if os.geteuid() != 0:
            self.skipTest("only root can be somebody else")
        self.folder.chmod(0o755)
        build = within_reach()
        self.addCleanup(build.cleanup)
        plain = self.folder / "plain.yaml"  # what nobody needs to find the daemon, and no secret
        plain.write_text(self.gateway.config.read_text().replace("{file: boiler}", "abcdefghijklmnopqrstuvwxyzABCD"))
        ended = subprocess.run([pathlib.Path(build.name) / "daemon/kpn-things-gateway", "write", "boiler", "setpoint", "24",
                                "--config", plain, "--plugin-dir", pathlib.Path(build.name) / "plugins"], text=True,
                               capture_output=True, timeout=30, user=65534, group=65534, extra_groups=[], cwd="/")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("ermission denied", ended.stderr)
        self.assertEqual(self.plc.writes, [])
        self.assertEqual(self.audit("state"), [])

    def test_reading_by_hand_shares_the_bus(self):
        self.begin()
        stop, reads = threading.Event(), []

        def read_on():
            with contextlib.closing(Control(self.folder / "control.sock")) as control:
                while not stop.is_set():
                    reads.append(control.ask("read", device="boiler", points=["setpoint"]))

        readers = [threading.Thread(target=read_on) for _ in range(4)]
        for reader in readers:
            reader.start()
        self.wait(lambda: len(reads) > 10, "reads by hand are under way")
        polls = self.plc.talk(120)
        first = self.plc.transcript[-1][0]
        self.wait(lambda: self.plc.transcript[-1][0] > first + 3, "three seconds have passed")
        polls = len(self.plc.talk(120)) - len(polls)
        written = self.write("pump", "on")
        stop.set()
        for reader in readers:
            reader.join(20)
        self.assertGreater(polls, 20)  # of 30
        self.assertEqual(written[0], 0)
        self.assertTrue(all(answer["ok"] for answer in reads), reads[-1])
        self.assertGreater(len(reads), 50)

    def test_scanning_and_reading_work_before_the_intervals_are_right(self):
        points = ", ".join(f"{{name: p{n}, holding: {20 * n}}}" for n in range(1, 200))
        gateway = Gateway(self.folder, self.yaml(SITE.split("    interval: 1h")[0] + f"""\
    interval: 100ms
    gap: 0
    points: [{points}]
"""), start=False)
        self.addCleanup(gateway.__exit__)
        refused = gateway.run("check")
        self.assertEqual(refused.returncode, 78)
        self.assertRegex(refused.stderr, 'error: source "plc" is asked for [0-9]+ % of what its line can carry')
        scanned = gateway.run("scan", "plc", "--units", "1-1")
        self.assertRegex(scanned.stderr, 'warning: source "plc" is asked for [0-9]+ % of what its line can carry')
        self.assertIn("unit 1", scanned.stdout)
        self.assertEqual(scanned.returncode, 0)
        self.assertEqual(gateway.run("read", "boiler", "p6").returncode, 0)

    def test_what_is_wrong_with_a_scan_is_told_to_who_asked_and_is_no_alarm(self):
        self.begin()
        scanned = self.gateway.run("scan", "plc", "--units", "9-1")
        self.assertNotEqual(scanned.returncode, 0)
        self.assertIn("the scan cannot begin: from 9 to 1 is no range", scanned.stderr)
        self.assertEqual(json.loads(self.gateway.run("status", "--json").stdout)["alarms"], [])

    def test_every_downlink_is_in_the_journal_and_in_the_queue(self):
        journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(journal.close)
        journal.bind(str(self.folder / "journal.sock"))
        journal.setblocking(False)
        entries = []

        def entry(verdict):
            while True:
                try:
                    entries.append(fields_of(journal.recv(65536)))
                except BlockingIOError:
                    return next((e for e in entries if verdict in e.get("THINGS_VERDICT", "")), None)

        with_journal = ["unshare", "--mount", "sh", "-c", WITH_JOURNAL, str(self.folder / "journal.sock")]
        if (tried := subprocess.run([*with_journal, "true"], capture_output=True, text=True, timeout=20)).returncode != 0:
            self.skipTest(f"nothing may be mounted here: {tried.stderr.strip()}")
        self.begin(wrapper=with_journal)
        for body, verdict in (('[{"n":"setpoint","v":24}]', "24 Cel written and read back, was 20 Cel"),
                              ('[{"n":"setpoint","v":31}]', "refused: 31 Cel is above its maximum 30 Cel"),
                              ("nonsense", "refused: not a SenML pack: it does not begin with '['")):
            self.platform.control("POST", "/downlinks", {"device": BOILER, "body": body, "status": 202})
            found = self.wait(lambda: entry(verdict), f"'{verdict}' is in the journal")
            self.assertEqual((found["THINGS_DEVICE"], found["THINGS_ORIGIN"]), ("boiler", "platform"))
        done = entry("24 Cel written")
        self.assertEqual([done[f"THINGS_{name}"] for name in ("POINT", "VALUE", "BEFORE", "AFTER", "STATE")],
                         ["setpoint", "24 Cel", "20 Cel", "24 Cel", "done"])
        self.assertEqual((done["PRIORITY"], entry("refused: 31")["PRIORITY"]), ("6", "4"))
        shown = self.gateway.run("commands", "list").stdout
        self.assertRegex(shown, r"(?m)^2[0-9-]+ [0-9:]+  boiler/setpoint = 24 \(platform\): done, 24 Cel written and read back, was 20 Cel$")
        self.assertEqual(self.audit("state", "before", "after"), [("done", "20", "24"), ("refused", "", ""), ("refused", "", "")])
        self.gateway.stop()
        # And when the daemon does not run, from the file.
        self.assertEqual(self.audit("state", "before", "after"), [("done", "20", "24"), ("refused", "", ""), ("refused", "", "")])


def fields_of(datagram):
    """One entry of the journal's protocol: NAME=value lines, or NAME, the size as eight bytes, and the value."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size, = struct.unpack("<Q", rest[:8])
            value, rest = rest[8:8 + size], rest[9 + size:]
        fields[name.decode()] = value.decode()
        datagram = rest
    return fields


if __name__ == "__main__":
    main()
