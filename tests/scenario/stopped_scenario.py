# SPDX-License-Identifier: Apache-2.0
"""The command line while the daemon does not run: it opens bus and queue itself, and leaves both as the daemon needs them;
and how each subcommand ends, with and without a daemon."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from scenario import BOILER, Scenario, main
from support.gateway import Gateway, PROGRAM, within_reach

SITE = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - name: boiler
    dvnuuid: BOILER
    secret: {file: boiler}
    source: plc
    interval: 100ms
    points:
      - {name: setpoint, unit: Cel, holding: 200, writable: {min: 5, max: 30, max_step: 5}}
      - {name: pump, coil: 3, writable: {min_interval: 0s}}
"""


class Provision(unittest.TestCase):
    def test_a_portal_file_that_cannot_be_written_leaves_no_secrets_behind(self):
        with tempfile.TemporaryDirectory(prefix="things-") as folder:
            here = pathlib.Path(folder)
            (here / "portal.csv").write_text("somebody's")
            words = [PROGRAM, "provision", "2", "--config", here / "gateway.yaml", "--portal", here / "portal.csv"]
            ended = subprocess.run(words, capture_output=True, text=True, timeout=20)
            self.assertEqual((ended.returncode, ended.stdout), (1, ""))
            self.assertIn("will not overwrite", ended.stderr)
            self.assertEqual([path.name for path in here.rglob("*") if path.is_file()], ["portal.csv"])
            (here / "portal.csv").unlink()
            self.assertEqual(subprocess.run(words, capture_output=True, timeout=20).returncode, 0)


class Stopped(Scenario):
    def setUp(self):
        super().setUp()
        self.plc.holding[200] = 20
        self.gateway = Gateway(self.folder, self.yaml(SITE), start=False)
        self.addCleanup(self.gateway.__exit__)
        self.gateway.log_file.touch()

    def test_a_write_takes_the_same_path_and_its_outcome_is_sent_later(self):
        for word in (("setpoint", "24"), ("pump", "on")):
            written = self.gateway.run("write", "boiler", *word)
            self.assertEqual(written.returncode, 0, written.stderr)
            self.assertIn("written and read back", written.stdout)
        refused = self.gateway.run("write", "boiler", "setpoint", "30")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("setpoint: refused: the step from 24 Cel to 30 Cel is larger than 5", refused.stderr)
        self.assertEqual(self.plc.written(200), [24])
        states = [c["state"] for c in json.loads(self.gateway.run("commands", "list", "--json").stdout)]
        self.assertEqual(states, ["refused", "done", "done"])
        waiting = json.loads(self.gateway.run("queue", "list", "--json").stdout)["queue"]
        self.assertEqual(waiting["queued"], 2)
        self.plc.holding[200] = 7  # what is sent of 24 is the outcome
        self.gateway.start()
        self.wait_for("setpoint", 7)
        self.assertIn(24, [r["value"] for r in self.platform.accepted(device=BOILER, name="setpoint")])
        self.assertEqual(self.plc.written(200), [24])


# A line of which no device is known yet, and one where nobody answers.
THREE_LINES = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
  new: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
  dead: {plugin: modbus, host: 127.0.0.1, tcp_port: 1, timeout: 100ms, retries: 0}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 1h,
     points: [{name: setpoint, holding: 200, writable: {max: 30}}]}
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: dead, interval: 1h,
     points: [{name: level, holding: 1, writable: true}]}
"""
ENDS = [  # command, exit code, what it says
    ("write boiler setpoint 21", 0, r"setpoint: 21 written and read back"),
    ("write boiler setpoint 31", 1, r"error: setpoint: refused: 31 is above its maximum 30"),
    ("write boiler setpiont 21", 64, r"error: 'boiler' has no point 'setpiont'"),
    ("write boilr setpoint 21", 64, r'error: there is no device "boilr"; did you mean "boiler"\?'),
    ("write chiller level 1", 69, r"error: level: writing 1 failed: .*refuses the connection.*it cannot be read back either"),
    ("read boiler setpiont", 64, r'error: device "boiler" has no point "setpiont"'),
    ("read chiller", 69, r"level: .*refuses the connection"),
    ("send boiler", 0, r"accepted the pack: 202 Accepted"),
    ("send chiller", 69, r'error: no point of "chiller" could be read, so there is nothing to send'),
    ("scan new --units 1-2", 0, r"unit 1 .*\nunit 2 "),
    ("scan neu", 64, r'error: there is no source "neu"; did you mean "new"\?'),
    ("scan new --units foo", 64, r'"foo" is no range of unit ids such as 1-32'),
    ("queue retry 7", 1, r"0 dead letters back in the queue"),
    ("queue retry 7 --json", 1, r'{"count":0}'),
    ("stats", 64, r'error: there is no command "stats"; did you mean "status"\?'),
]


class Ends(Scenario):
    """Each subcommand says what, where and what to do, and ends with the same code whoever has the bus."""

    def assert_ends(self):
        for words, code, text in ENDS:
            ended = self.gateway.run(*words.split())
            with self.subTest(words):
                self.assertEqual(ended.returncode, code, ended.stdout + ended.stderr)
                self.assertRegex(ended.stdout if code == 0 or "--json" in words else ended.stdout + ended.stderr, text)
        self.platform.behave(kind="status", status=401, count=0)
        refused = self.gateway.run("send", "boiler")  # it did answer
        self.assertEqual((refused.returncode, "401" in refused.stdout), (1, True), refused.stdout)

    def test_while_the_daemon_runs(self):
        self.start(THREE_LINES)
        self.assert_ends()

    def test_while_it_does_not_run(self):
        self.gateway = Gateway(self.folder, self.yaml(THREE_LINES), start=False)
        self.addCleanup(self.gateway.__exit__)
        self.gateway.log_file.touch()
        self.assert_ends()


@unittest.skipUnless(os.geteuid() == 0, "only root can be somebody else")
class AsRoot(Scenario):
    """The daemon runs as a user of its own; a technician looks around with sudo."""

    def setUp(self):
        super().setUp()
        self.build = within_reach()
        self.addCleanup(self.build.cleanup)
        self.uid = 65534
        for place in [self.folder, *(self.folder / name for name in ("boiler", "chiller"))]:
            os.chown(place, self.uid, self.uid)
        (self.folder / "platform").chmod(0o755)
        # Not Gateway's own start: only the daemon is nobody, the command line is root.
        self.daemon = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]

    def start_as_nobody(self, text):
        self.gateway = Gateway(self.folder, self.yaml(text), start=False, wrapper=self.daemon, build=self.build.name)
        self.addCleanup(self.gateway.__exit__)
        (self.folder / "notify.sock").chmod(0o666)
        self.gateway.start()

    def owners(self):
        return {path.stat().st_uid for path in self.folder.glob("queue.db*")} | \
            {path.stat().st_uid for path in (self.folder / "hot").rglob("*")}

    def test_what_looks_into_the_queue_leaves_it_to_its_owner(self):
        self.platform.behave(kind="status", status=503, count=0)
        self.plc.count_at(0)
        self.start_as_nobody(SITE.replace("holding: 200, writable: {min: 5, max: 30, max_step: 5}", "holding: 0, type: uint32"))
        self.wait(lambda: self.plc.counters[0].get(1, 0) > 20, "readings pile up")
        self.gateway.stop()
        until = self.plc.counters[0][1]
        waiting = json.loads(self.gateway.run("queue", "list", "--json").stdout)["queue"]["queued"]
        self.assertGreater(waiting, 20)
        for words in (("queue", "show"), ("queue", "retry", "--all"), ("commands", "list"), ("write", "boiler", "pump", "on")):
            ended = self.gateway.run(*words)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), words)
        self.assertEqual(self.owners(), {self.uid})
        self.platform.behave_well()
        self.gateway.start()
        self.wait(lambda: (self.counters(name="setpoint") or [0])[-1] >= until, "what waited has arrived")
        self.assert_nothing_missing(until, name="setpoint")
        self.assertNotIn("put aside", self.gateway.log())

    def test_root_does_not_run_a_queue_of_another_user(self):
        self.start_as_nobody(SITE)
        self.wait_for("setpoint", 0)
        self.gateway.stop()
        ended = subprocess.run(self.gateway.command("run"), capture_output=True, text=True, timeout=20)
        self.assertEqual(ended.returncode, 1)
        self.assertRegex(ended.stderr, r"queue\.db belongs to user nobody.*systemctl start")
        self.assertEqual(self.owners(), {self.uid})

    def leave_to_root(self, mode):
        """Readings that wait, in files that an older version left as root's. The last counter value among them."""
        self.plc.count_at(200)
        self.start_as_nobody(SITE.replace("holding: 200, writable: {min: 5, max: 30, max_step: 5}", "holding: 200, type: uint32"))
        self.platform.behave(kind="down")
        begin = self.plc.counters[200].get(1, 0)
        self.wait(lambda: self.plc.counters[200].get(1, 0) > begin + 20, "readings pile up")
        self.gateway.stop()
        for path in self.folder.glob("queue.db*"):
            os.chown(path, 0, 0)
            path.chmod(mode)
        shutil.rmtree(self.folder / "hot")
        self.platform.behave_well()
        self.gateway.start()
        return self.plc.counters[200][1]

    def test_what_waits_in_a_file_of_roots_is_taken_over_if_it_may_be_read(self):
        until = self.leave_to_root(0o644)
        self.wait(lambda: (self.counters(name="setpoint") or [0])[-1] >= until, "newer ones arrive")
        self.assert_nothing_missing(until, name="setpoint")
        self.assertNotIn("put aside", self.gateway.log())
        self.assertIn(self.uid, self.owners())

    def test_what_may_not_be_read_is_told_with_the_cure(self):
        self.leave_to_root(0o600)
        aside = self.folder / "queue.db.aside-1"
        self.wait(lambda: "belongs to root and cannot be read" in self.gateway.log(), "it is told")
        self.assertRegex(self.gateway.log(), rf"`queue adopt {aside}` takes in .*chown 65534 {aside}")


if __name__ == "__main__":
    main()
