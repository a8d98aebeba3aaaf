# SPDX-License-Identifier: Apache-2.0
"""What `check` predicts of uploads, bytes and flash, against what the daemon really sends and writes, in fast motion."""

import json
import pathlib
import re
import tempfile
import threading
import time
import unittest
import urllib.request

from scenario import BOILER, main
from support.gateway import Gateway, free_port, settings
from support.simulator import Simulator
from support.wire import Wire

# Bytes of blocks and journal that ext4 writes beyond what a commit hands to the kernel; measured on a loop device.
BLOCKS_OF_A_COMMIT = 6500
SECONDS = 7
# Predicted / real. Flash is the coarsest: whether a commit finds a pack on its way is a matter of luck.
TOLERANCE = {"readings": (0.8, 1.2), "uploads": (0.75, 1.25), "bytes": (0.75, 1.3), "flash": (0.6, 1.8)}


class Fleet(threading.Thread):
    """`devices` simulated devices with `points` points, watched for a while."""

    def __init__(self, folder, devices, points, interval, max_age, commit):
        super().__init__()
        folder.mkdir()
        known = [{"dvnuuid": f"{BOILER[:-4]}{i:04x}", "secret": f"abcdefghijklmnopqrstuvwxyz{i:04}", "name": f"d{i}"}
                 for i in range(devices)]
        self.platform = Simulator(folder, known)
        self.wire = Wire(self.platform.port)
        self.web = free_port()
        names = ", ".join(f"{{name: electricPotential{p}, unit: V}}" for p in range(points))
        yaml = settings(folder, self.platform, max_age=max_age, commit_interval=commit, web_port=self.web)
        yaml = yaml.replace(self.platform.url, self.platform.url.replace(str(self.platform.port), str(self.wire.port)))
        yaml += "sources:\n  fake: {plugin: simulated}\ndevices:\n" + "".join(
            f"  - {{name: {d['name']}, dvnuuid: {d['dvnuuid']}, secret: {d['secret']}, source: fake, interval: {interval},"
            f" points: [{names}]}}\n" for d in known)
        self.gateway = Gateway(folder, yaml, start=False)
        self.gateway.config.chmod(0o600)
        self.real = None

    def close(self):
        self.gateway.__exit__()
        self.platform.stop()
        self.wire.__exit__()

    def predicted(self):
        said = json.loads(self.gateway.run("check", "--json").stdout)
        return {"readings": said["readings_per_day"], "uploads": said["uploads_per_day"],
                "bytes": said["bytes_per_month"] / 30, "flash": said["flash_bytes_per_day"]["online"]}

    def count(self):
        """What there is right after a pack: between two of these no pack is cut in two."""
        packs = self.platform.stats()["accepted_packs"]
        while self.platform.stats()["accepted_packs"] == packs:
            time.sleep(0.01)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        def metric(name):
            return float(re.search(rf"^things_gateway_{name} (\S+)$", metrics, re.M).group(1))
        stats = self.platform.stats()
        return time.monotonic(), {
            "readings": self.platform.count(), "uploads": stats["accepted_packs"], "bytes": self.wire.bytes(),
            "flash": metric("queue_disk_written_bytes_total") + BLOCKS_OF_A_COMMIT * metric("queue_commits_total")}

    def measure(self):
        """Counts over SECONDS, as a day would give."""
        since, before = self.count()
        while time.monotonic() < since + SECONDS:  # a rate is what is measured
            time.sleep(0.1)
        until, after = self.count()
        return {key: (after[key] - before[key]) * 86400 / (until - since) for key in before}

    def run(self):
        """Measures; again where the machine had no time for all the readings that were due."""
        due = self.predicted()["readings"]
        self.gateway.start()
        begin = time.monotonic()
        while self.platform.stats()["accepted_packs"] < 3 or time.monotonic() < begin + 2:
            time.sleep(0.1)
        for _ in range(5):
            self.real = self.measure()
            if self.real["readings"] > 0.95 * due:
                break


class Traffic(unittest.TestCase):
    def test_the_prediction_is_close_to_what_happens(self):
        temporary = tempfile.TemporaryDirectory(prefix="things-")
        self.addCleanup(temporary.cleanup)
        folder = pathlib.Path(temporary.name)
        fleets = {
            "one device, packs of a dozen": Fleet(folder / "a", 1, 2, "200ms", "1s", "600ms"),
            "ten devices, packs that a commit finds": Fleet(folder / "b", 10, 10, "200ms", "1s", "500ms"),
            "packs that leave before the commit": Fleet(folder / "c", 4, 5, "500ms", "750ms", "2s"),
            "packs as large as they may be": Fleet(folder / "d", 3, 60, "200ms", "5s", "1s"),
        }
        for fleet in fleets.values():
            self.addCleanup(fleet.close)
            fleet.start()
        for fleet in fleets.values():
            fleet.join()
        for name, fleet in fleets.items():
            predicted = fleet.predicted()
            # Packs that leave before the commit write nothing, and nothing is what was said of them.
            ratios = {key: round(predicted[key] / fleet.real[key], 2) if fleet.real[key] or predicted[key] else 1
                      for key in predicted}
            print(f"{name}: predicted / real {ratios}")
            with self.subTest(name):
                for key, (least, most) in TOLERANCE.items():
                    self.assertGreater(ratios[key], least, f"{key}: {predicted} {fleet.real}")
                    self.assertLess(ratios[key], most, f"{key}: {predicted} {fleet.real}")


if __name__ == "__main__":
    main()
