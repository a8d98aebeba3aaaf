# SPDX-License-Identifier: Apache-2.0
"""What the gateway does beside its job, the log, the page, the control socket, the service manager, may stand still or be
impossible: readings go up all the same, and it stops when it is told to."""

import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import threading
import unittest
import urllib.request

from scenario import Scenario, main
from support.faulty_calls import DELAY, OPEN, SYNC, FaultyCalls
from support.gateway import Gateway

ONE = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
"""
LOST = re.compile(rb"log: (\d+) lines? lost: the log was not taken fast enough")
CLIENTS = 15_000  # each is a line of the log, more than may wait


class Stalled:
    """What the gateway logs to: a pipe, a socket, or the journal's socket. Nobody reads it before read_all()."""

    def __init__(self, kind, folder):
        self.text = b""
        if kind == "pipe":
            self.end, self.stderr = os.pipe()
        else:
            ours, theirs = socket.socketpair()
            self.end, self.stderr = ours.detach(), theirs.detach()
        if kind == "journal":
            (folder / "journal").mkdir()
            self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.journal.bind(str(folder / "journal/socket"))
            os.close(self.end)
            self.end = self.journal.detach()

    def read_all(self):
        """From now on, in the background."""
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while chunk := os.read(self.end, 65536):
            self.text += chunk


def may_mount():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"],
                                                stderr=subprocess.DEVNULL).returncode == 0


class Log(Scenario):
    """A journald that waits for a worn card, a pipe into a program that hangs."""

    def setUp(self):
        super().setUp()
        self.plc.count_at(0)

    def start_logging_to(self, log, wrapper=()):
        self.gateway = Gateway(self.folder, self.yaml(ONE), start=False, wrapper=wrapper)
        self.addCleanup(self.gateway.__exit__)
        self.gateway.log_file.touch()
        self.gateway.output = log.stderr
        status = os.fstat(log.stderr)
        self.gateway.environment = {"WATCHDOG_USEC": "2000000"}
        if wrapper:
            self.gateway.environment["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
        self.gateway.start()
        os.close(log.stderr)

    def fill(self, clients=CLIENTS):
        for _ in range(clients):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.folder / "control.sock"))

    def assert_it_works(self):
        at = len(self.plc.reads)
        self.gateway.notices.clear()
        self.wait_for_counter(at + 20)
        self.wait(lambda: self.gateway.heard("WATCHDOG=1"), "the watchdog is fed")
        self.assertEqual(self.gateway.run("status").returncode, 0)

    def stand_still_and_go_on(self, kind, wrapper=()):
        log = Stalled(kind, self.folder)
        self.start_logging_to(log, wrapper)
        self.fill()
        self.assert_it_works()
        log.read_all()
        lost = self.wait(lambda: LOST.search(log.text), "the loss is told")
        self.wait(lambda: log.text.count(b" connected") + int(lost.group(1)) >= CLIENTS, "all lines are there or counted")
        code, seconds = self.gateway.stop()
        self.assertEqual((code, seconds < 5), (0, True), seconds)
        self.wait(lambda: b"stopped: everything that was not sent is stored" in log.text, "the last line is there")
        self.assertEqual(len(LOST.findall(log.text)), 1)

    def test_a_pipe_that_nobody_reads(self):
        self.stand_still_and_go_on("pipe")

    def test_a_socket_that_nobody_reads(self):
        self.stand_still_and_go_on("socket")

    @unittest.skipUnless(may_mount(), "needs a mount name space, for a journal of its own")
    def test_a_journal_that_stands_still(self):
        shell = f"mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind {self.folder}/journal " \
                '/run/systemd/journal && exec "$@"'
        self.stand_still_and_go_on("journal", ["unshare", "-m", "sh", "-c", shell, "sh"])

    def test_it_stops_in_time_while_the_log_stands_still(self):
        self.start_logging_to(Stalled("pipe", self.folder))
        self.fill()
        code, seconds = self.gateway.stop()
        self.assertEqual((code, seconds < 6), (0, True), seconds)

    def test_what_waits_is_written_before_a_crash_ends_it(self):
        log = Stalled("pipe", self.folder)
        self.start_logging_to(log)
        self.fill(2_000)  # a pipe holds fewer
        self.gateway.run("status")  # all were served
        self.gateway.signal(signal.SIGABRT)
        log.read_all()
        self.assertEqual(self.gateway.wait_for_end(5), -signal.SIGABRT)
        self.wait(lambda: log.text.count(b" connected") >= 2_000, "all lines are there")


class Signals(Scenario):
    """One that comes before there is a loop to handle it waits for the loop."""

    def start_and_signal_at_once(self, number):
        self.gateway = Gateway(self.folder, self.yaml(ONE), start=False)
        self.addCleanup(self.gateway.__exit__)
        self.gateway.start(ready=False)
        status = pathlib.Path(f"/proc/{self.gateway.process.pid}/status")
        blocked = re.compile(r"SigBlk:\s*(\w+)")
        # On a busy machine it may be past that before we look.
        self.wait(lambda: int(blocked.search(status.read_text()).group(1), 16) & 1 or self.gateway.heard("READY=1"),
                  "main has begun", step=0)
        self.gateway.signal(number)

    def test_a_reload_asked_for_at_once_is_done_when_it_runs(self):
        self.plc.count_at(0)
        self.start_and_signal_at_once(signal.SIGHUP)
        self.wait(lambda: "reloaded: " in self.gateway.log(), "it reloads")
        self.wait_for_counter(5)

    def test_a_stop_asked_for_at_once_is_a_clean_end(self):
        self.start_and_signal_at_once(signal.SIGTERM)
        self.assertEqual(self.gateway.wait_for_end(), 0)

    def test_ctrl_c_at_once_is_a_clean_end(self):
        self.start_and_signal_at_once(signal.SIGINT)
        self.assertEqual(self.gateway.wait_for_end(), 0)

    def test_a_file_that_may_not_grow_is_no_reason_to_end(self):
        self.plc.count_at(0)
        self.start(ONE)
        self.wait_for_counter(3)
        subprocess.run(["prlimit", f"--pid={self.gateway.process.pid}", "--fsize=1"], check=True)
        at = len(self.plc.reads)
        self.wait_for_counter(at + 20)
        self.assertEqual(self.gateway.stop()[0], 0)


class SideDoors(Scenario):
    """Page and control socket are a convenience: without them it reads and sends, says so, and tries again."""

    def setUp(self):
        super().setUp()
        self.plc.count_at(0)

    def alarms(self):
        done = self.gateway.run("status", "--json")
        return [alarm["key"] for alarm in json.loads(done.stdout)["alarms"]] if done.returncode == 0 else None

    def test_a_port_that_is_taken_costs_the_page_alone_until_it_is_free(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.start(ONE, web_port=port)
            self.wait_for_counter(5)
            self.assertIn("web", self.alarms())
            self.assertIn(f"web.listen 127.0.0.1:{port}: Address already in use", self.gateway.log())
        self.wait(lambda: "web" not in self.alarms(), "the page is served")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            self.assertEqual(answer.status, 200)

    def test_an_address_that_is_not_there_yet_costs_the_page_alone(self):
        self.gateway = Gateway(self.folder, self.yaml(ONE).replace('"127.0.0.1:', '"192.0.2.55:'))
        self.addCleanup(self.gateway.__exit__)
        self.wait_for_counter(5)
        self.assertIn("web", self.alarms())

    def test_a_file_in_the_control_sockets_way_costs_the_command_line_alone(self):
        socket_file = self.folder / "control.sock"
        socket_file.write_text("precious")
        self.start(ONE)
        self.wait_for_counter(5)
        self.assertIn("control.sock: there is a file of that name that is no socket", self.gateway.log())
        self.assertEqual(socket_file.read_text(), "precious")
        socket_file.unlink()
        self.wait(lambda: self.alarms() == [], "the command line is served")
        socket_file.unlink()  # by somebody who cleans up
        self.wait(lambda: self.alarms() == [], "it is served again")

    def test_a_folder_that_cannot_be_written_costs_the_command_line_alone(self):
        self.gateway = Gateway(self.folder, self.yaml(ONE).replace("control.sock", "boiler/control.sock"))
        self.addCleanup(self.gateway.__exit__)
        self.wait_for_counter(5)
        self.assertIn("boiler/control.sock: Not a directory", self.gateway.log())

    def test_check_tries_both(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            (self.folder / "control.sock").write_text("precious")
            gateway = Gateway(self.folder, self.yaml(ONE, web_port=port), start=False)
            self.addCleanup(gateway.__exit__)
            done = gateway.run("check")
        self.assertEqual(done.returncode, 0)
        self.assertIn(f"warning: web.listen 127.0.0.1:{port}: Address already in use", done.stderr)
        self.assertRegex(done.stderr, "warning: control.socket .*/control.sock: there is a file of that name that is no socket")
        (self.folder / "control.sock").unlink()
        gateway.start()
        self.assertEqual(gateway.run("check").stderr, "", "what a running gateway has is not in its way")


class Flash(Scenario):
    """A card that does not answer for a while, or for ever."""

    def setUp(self):
        super().setUp()
        self.plc.count_at(0)
        self.faults = FaultyCalls(self.folder)
        self.gateway = Gateway(self.folder, self.yaml(ONE, max_age="1h"), start=False, wrapper=self.faults.wrapper)
        self.addCleanup(self.gateway.__exit__)

    def test_a_stop_sends_what_it_has_and_ends_in_time(self):
        self.gateway.start()
        self.wait(lambda: len(self.plc.reads) > 20, "there are readings")
        self.faults.hit(1, "queue.db", SYNC, DELAY, sticky=True, delay_ms=60_000)
        self.wait(lambda: self.faults.hits > 0, "a commit hangs")
        until = len(self.plc.reads)
        code, seconds = self.gateway.stop(15)
        self.assertEqual((code, seconds < 13), (0, True), seconds)
        self.assertGreaterEqual(self.counters()[-1], until - 1)
        self.assertIn("flash does not answer", self.gateway.log())
        self.faults.heal()
        sent = self.counters()[-1]
        self.gateway.config.write_text(self.yaml(ONE))
        self.gateway.start()
        self.wait_for_counter(sent + 5)
        self.assert_nothing_missing(sent + 5)

    def test_a_start_that_takes_long_keeps_the_service_manager_patient(self):
        self.gateway.start()
        self.gateway.stop()
        self.faults.hit(1, "queue.db-wal", OPEN, DELAY, delay_ms=3_000)
        self.gateway.start()
        self.assertTrue(self.gateway.heard("EXTEND_TIMEOUT_USEC=60000000"))
        self.assertTrue(any(line.startswith("STATUS=opening the queue, for 1 s") for line in self.gateway.notices))
        self.gateway.stop()
        self.faults.hit(1, "queue.db-wal", OPEN, DELAY, delay_ms=60_000)
        self.gateway.start(ready=False)
        self.wait(lambda: self.gateway.heard("EXTEND_TIMEOUT_USEC=60000000"), "it waits for the disk")
        code, seconds = self.gateway.stop()
        self.assertEqual((code, seconds < 5), (0, True), seconds)


class Descriptors(Scenario):
    """Somebody takes them all away while it runs."""

    def assert_it_stops(self, limit):
        self.plc.count_at(0)
        self.start(ONE)
        self.wait_for_counter(5)
        resource.prlimit(self.gateway.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        self.platform.behave(kind="down", count=0)  # the connection that it has ends
        self.wait(lambda: "no file descriptors are left" in self.gateway.log(), "it is told")
        self.platform.behave_well()
        until = len(self.plc.reads)
        code, seconds = self.gateway.stop(20)
        self.assertEqual((code, seconds < 13), (0, True), seconds)
        self.gateway.start()
        self.wait_for_counter(until + 5)
        self.assert_nothing_missing(until)

    def test_eight_of_them(self):
        self.assert_it_stops(8)

    def test_twenty_of_them(self):
        self.assert_it_stops(20)

    def test_none_at_all(self):
        self.assert_it_stops(1)


if __name__ == "__main__":
    main()
