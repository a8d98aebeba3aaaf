# SPDX-License-Identifier: Apache-2.0
"""Packages of another architecture, unpacked with all they depend on and run by qemu-user: commissions two devices, reads,
sends, then runs as a daemon that delivers, obeys a downlink, is killed and stops. Units and sandbox need a booted system of
that architecture and are not looked at.   python3 packaging/trial/emulated.py ROOT   (ROOT/qemu runs its programs)"""

import os
import pathlib
import signal
import subprocess
import sys
import time

TREE = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TREE / "tests"), str(TREE / "packaging")]
from support.simulator import wait_until  # noqa: E402
from trial.site import CONTROL_PORT, DEVICES, ETC, PORT, UNIT, Platform, Site  # noqa: E402

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin", "HOME": "/root", "LANG": "C.UTF-8"}
GATEWAY = """\
things: {{url: "{url}", ca_file: platform.pem}}
batch: {{max_age: 1s}}
time: {{require_sync: false}}
include: [devices.d/*.yaml]
"""


class Unpacked:
    """What Guest is to a booted system, as far as a site needs it."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def path(self, path):
        return self.root / str(path).lstrip("/")

    def write(self, path, text, mode=0o644):
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)
        self.path(path).chmod(mode)

    def words(self, program, *arguments):
        return ["chroot", self.root, "/qemu", f"/usr/bin/{program}", *map(str, arguments)]

    def run(self, *command, seconds=120):
        return subprocess.run(self.words(*command), env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True,
                              encoding="utf-8", errors="replace", timeout=seconds)

    def start(self, name, *command):
        """In the background, with all it says in a file beside ROOT."""
        with open(f"{self.root}.{name}.log", "a") as log:
            return subprocess.Popen(self.words(*command), env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


class EmulatedPlatform(Platform):
    def start(self):
        self.process = self.guest.start("platform", "things-simulator", "--port", PORT, "--control-port", CONTROL_PORT,
                                        "--devices", "/var/lib/platform/devices.csv", "--ca-out", self.ca_file,
                                        "--store", "/var/lib/platform/accepted.tsv")
        wait_until(self.answers, "the platform listens", 60)


class Trial:
    def __init__(self, root):
        self.guest = Unpacked(root)
        self.site = Site(self.guest)
        self.site.platform = EmulatedPlatform(self.guest)
        self.passed, self.failed = 0, 0

    def check(self, promise, holds, why=""):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok    ' if holds else 'FAILED'}  {promise}" + (f": {why}" if why and not holds else ""), flush=True)

    def run(self):
        for step in (self.commission, self.read_and_send, self.deliver, self.obey, self.survive, self.stop):
            step()
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0

    def commission(self):
        version = self.guest.run(UNIT, "--version")
        self.check(f"it starts: {version.stdout.strip()}", version.returncode == 0, version.stderr)
        for folder in (f"{ETC}/secrets", "/var/lib/platform", f"/var/lib/{UNIT}", f"/run/{UNIT}", "/root", "/tmp"):
            self.guest.path(folder).mkdir(parents=True, exist_ok=True)
        self.site.provision()
        self.guest.path("/root/portal.csv").rename(self.guest.path("/var/lib/platform/devices.csv"))
        uuids = {name: uuid for name, (uuid, _) in self.site.devices.items()}
        self.guest.write(f"{ETC}/gateway.yaml", GATEWAY.format(url=self.site.platform.url))
        self.guest.write(f"{ETC}/devices.d/site.yaml", DEVICES.replace("{{credential: chiller}}", "{{file: ../secrets/chiller}}")
                         .format(port=self.site.plc.port, **uuids))
        self.site.platform.start()
        checked = self.guest.run(UNIT, "check")
        self.check("check finds nothing wrong", checked.returncode == 0, checked.stderr)

    def read_and_send(self):
        read = self.guest.run(UNIT, "read", "boiler", "setpoint")
        self.check("read shows what the device holds", read.returncode == 0 and "20" in read.stdout, read.stdout + read.stderr)
        sent = self.guest.run(UNIT, "send", "boiler")
        self.check("send has a pack accepted", sent.returncode == 0 and self.site.platform.stats()["accepted_packs"] == 1,
                   sent.stdout + sent.stderr)

    def daemon(self):
        self.process = self.guest.start("gateway", UNIT, "run")
        self.site.starts.append(time.monotonic())

    def deliver(self):
        self.site.starts.clear()
        self.daemon()
        self.site.wait_for_fresh()
        self.check("the daemon delivers for both devices", not self.site.platform.stats()["refused"])
        status = self.guest.run(UNIT, "status")
        self.check("status shows both", "boiler" in status.stdout and "chiller" in status.stdout, status.stdout + status.stderr)

    def obey(self):
        self.site.platform.downlink(self.site.devices["boiler"][0], [{"n": "setpoint", "u": "Cel", "v": 22.5}])
        wait_until(lambda: self.site.plc.float_at(200) == 22.5, "the downlink reaches the device", 60)

        def reported():
            newest = self.site.platform.newest(device=self.site.devices["boiler"][0], name="setpoint")
            return newest and newest["value"] == 22.5
        wait_until(reported, "its outcome is at the platform", 60)
        self.check("a downlink is carried out and reported", True)

    def survive(self):
        self.site.platform.behave(kind="down")
        since = len(self.site.plc.reads)
        wait_until(lambda: len(self.site.plc.reads) > since + 20, "readings that only the queue holds", 60)
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.site.kills.append(time.monotonic())
        self.daemon()
        self.site.platform.behave_well()
        self.site.wait_for_fresh()
        result = self.site.losses()
        self.check(f"killed and started again: nothing lost of {result.required} readings, nothing invented",
                   result.required > 0 and not result.missing and not result.wrong, str((result.missing + result.wrong)[:5]))

    def stop(self):
        self.process.terminate()
        self.check("it stops when asked", self.process.wait(60) == 0, str(self.process.returncode))
        self.site.platform.process.terminate()
        self.site.platform.process.wait(60)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return Trial(sys.argv[1]).run()


if __name__ == "__main__":
    sys.exit(main())
