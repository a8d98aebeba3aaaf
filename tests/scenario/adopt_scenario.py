# SPDX-License-Identifier: Apache-2.0
"""Queues that come from elsewhere: another gateway's file, a disk that is mounted late, a folder in memory, files that
somebody else may have written."""

import json
import os
import shutil
import subprocess
import unittest

from scenario import Scenario, main
from support.gateway import Gateway, settings
from support.mounts import Mount

SITE = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
"""


class Adopt(Scenario):
    def setUp(self):
        super().setUp()
        self.plc.count_at(0)

    def gateway_of(self, name, **more):
        """One with files of its own, on the same bus and platform."""
        folder = self.folder / name
        folder.mkdir()
        shutil.copy(self.folder / "boiler", folder)
        site = self.yaml(SITE).split("log: {level: debug}\n", 1)[1]
        gateway = Gateway(folder, settings(folder, self.platform, **more) + site, start=False)
        gateway.log_file.touch()
        self.addCleanup(gateway.__exit__)
        return gateway

    def other(self):
        """The queue of a gateway that could not send, and the last counter in it."""
        self.platform.behave(kind="down")
        gateway = self.gateway_of("other").start()
        begin = self.plc.counters[0].get(1, 0)
        self.wait(lambda: self.plc.counters[0].get(1, 0) > begin + 20, "readings pile up")
        gateway.stop()
        return gateway.folder / "queue.db", self.queue(gateway)["queued"]

    @staticmethod
    def queue(gateway):
        return json.loads(gateway.run("queue", "list", "--json").stdout)["queue"]

    @staticmethod
    def alarms(gateway):
        return {alarm["key"]: alarm for alarm in json.loads(gateway.run("status", "--json").stdout)["alarms"]}

    def assert_balance(self, gateway):
        books = self.queue(gateway)
        dropped = sum(books["dropped"].values())
        self.assertEqual(books["read"] + books["adopted"], books["accepted"] + books["queued"] + books["dead"] + dropped)

    def test_another_gateways_queue_is_taken_in_once_by_the_running_daemon_and_by_a_stopped_one(self):
        file, waiting = self.other()
        for is_running in (True, False):
            gateway = self.gateway_of("running" if is_running else "stopped")
            if is_running:
                gateway.start()
            adopted = gateway.run("queue", "adopt", file)
            self.assertEqual((adopted.returncode, adopted.stderr), (0, ""))
            self.assertIn(f"{waiting} readings and 0 dead letters taken in", adopted.stdout)
            again = gateway.run("queue", "adopt", "--json", file)
            self.assertEqual(again.returncode, 1)
            self.assertTrue(json.loads(again.stdout)["known"])
            self.assertEqual(self.queue(gateway)["adopted"], waiting)
            self.assertEqual(list(gateway.folder.glob("queue.db.*adopt*")), [])
            if is_running:
                self.assert_balance(gateway)
                self.platform.behave_well()
                self.wait(lambda g=gateway: self.queue(g)["accepted"] >= waiting, "all of it is accepted")
                counters = self.counters()
                self.assertEqual(len(counters), len(set(counters)))
                gateway.stop()

    def test_a_queue_that_is_moved_over_the_one_in_use_is_merged(self):
        file, waiting = self.other()
        gateway = self.gateway_of("late").start()
        self.wait(lambda: self.queue(gateway)["file_bytes"] > 0, "it is on flash")
        (gateway.folder / "below").mkdir()
        for end in ("", "-wal"):
            os.rename(gateway.folder / f"queue.db{end}", gateway.folder / f"below/queue.db{end}")
        shutil.copy(file, gateway.folder / "queue.db")
        self.wait(lambda: self.queue(gateway)["adopted"] == waiting, "it is merged")
        self.wait(lambda: self.alarms(gateway), "it is told")
        self.assertEqual({key for key in self.alarms(gateway) if key.startswith("queue/")}, {"queue/replaced"})
        self.assert_balance(gateway)

    def test_a_folder_that_others_may_write_to_is_not_used_and_the_gateway_runs(self):
        gateway = self.gateway_of("open")
        gateway.folder.chmod(0o777)
        gateway.start()
        self.wait(lambda: "queue/flash" in self.alarms(gateway), "it is told")
        alarm = self.alarms(gateway)["queue/flash"]
        self.assertTrue(alarm["urgent"])
        self.assertIn(f"chmod go-w {gateway.folder}", alarm["text"])
        self.wait(lambda: self.counters(), "readings arrive all the same")
        gateway.folder.chmod(0o700)
        self.wait(lambda: "queue/flash" not in self.alarms(gateway), "it is mended without a restart")

    @unittest.skipUnless(os.geteuid() == 0, "skipped: only root can mount")
    def test_a_queue_in_memory_is_told_before_and_while_it_runs(self):
        probe = self.folder / "probe"
        try:
            with Mount(probe, 1):
                pass
        except subprocess.CalledProcessError as error:
            self.skipTest(f"skipped: no file system can be mounted here: {error.stderr.strip()}")
        with Mount(self.folder / "memory", 8) as memory:
            gateway = self.gateway_of("volatile", queue_folder=memory.folder)
            self.assertIn("in memory (tmpfs): a reboot", gateway.run("check").stderr)
            gateway.start()
            self.wait(lambda: "queue/storage" in self.alarms(gateway), "it is told")
            self.assertIn("costs every reading", self.alarms(gateway)["queue/storage"]["text"])
            gateway.stop()


if __name__ == "__main__":
    main()
