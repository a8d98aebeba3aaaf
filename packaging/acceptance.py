# SPDX-License-Identifier: Apache-2.0
"""What packaging/acceptance checks, in the order of a gateway's life: installed, commissioned, in trouble, upgraded,
removed. Each step goes on where the one before it left off; a step that fails does not stop the next ones."""

import ctypes
import json
import os
import pathlib
import signal
import sys
import time
import traceback

TREE = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TREE / "tests"), str(TREE / "packaging")]
from campaigns.kill import GRACE  # noqa: E402
from support.simulator import wait_until  # noqa: E402
from trial.canary import PAGES, STATE, Canary  # noqa: E402
from trial.guest import Guest  # noqa: E402
from trial.repack import NEW_LINE, repack  # noqa: E402
from trial.site import ETC, UNIT, Site  # noqa: E402
from trial.thread_stop import StoppedThread  # noqa: E402

COMMIT_INTERVAL = 10.0  # seconds, of the configuration: what a power cut may cost

RUN = "/run/kpn-things-gateway"
APT = ["apt-get", "-q", "-y", "--no-install-recommends", "-o", "DPkg::Options::=--force-confold"]
SECOND = "kpn-things-gateway@second"
EXPOSURE = 1.3
# Says whether it got at a secret, the queue or the control socket, too.
PROGRAM = f"""#!/bin/sh
reached=0
for file in {ETC}/secrets/boiler {STATE}/queue.db {STATE}/second/queue.db; do
  {{ true <"$file" || true >>"$file"; }} 2>/dev/null && reached=1
done
while :; do echo '{{"point":"level","value":1.5}}'; echo '{{"point":"reached","value":'$reached'}}'; sleep 1; done
"""


class Acceptance:
    def __init__(self, root):
        self.guest = Guest(root)
        self.site = Site(self.guest)
        self.canary = Canary(self.guest, self.site, self.check)
        self.passed, self.failed = 0, []
        self.previous = [f"/root/previous/{deb.name}" for deb in sorted(self.guest.path("/root/previous").glob("*.deb"))]

    def check(self, promise, holds, why=""):
        """Notes whether a promise held."""
        if holds:
            self.passed += 1
        else:
            self.failed.append(promise)
        print(f"{'ok    ' if holds else 'FAILED'}  {promise}" + (f": {why}" if why and not holds else ""), flush=True)

    def run(self):
        self.guest.boot()
        begin = (self.upgrade_from_previous, self.install) if self.previous else (self.install, self.commission, self.first_packs)
        for step in (*begin, self.encrypted_credential, self.downlink, self.sandbox, self.second_instance, self.hanging_thread_begins, self.journal, self.endpoints, self.crash, self.hang,
                     self.hanging_thread_ends, self.wrong_configuration, self.reload, self.upgrade, self.power_cut,
                     self.newer_queue, self.reinstall, self.books, self.core_file, self.search_for_secrets, self.purge, self.purge_with_a_disk):
            begin = time.monotonic()
            print(f"-- {step.__name__.replace('_', ' ')}", flush=True)
            try:
                step()
            except Exception as error:  # noqa: BLE001: one step must not hide the next ones
                self.check(f"step {step.__name__.replace('_', ' ')} ran to its end", False, str(error))
                traceback.print_exc()
            print(f"   {time.monotonic() - begin:.1f} s", flush=True)
        print(f"{self.passed} passed, {len(self.failed)} failed", flush=True)
        return 1 if self.failed else 0

    # Installed.
    def upgrade_from_previous(self):
        """From packages that an earlier tree was built to, with readings that only their queue holds."""
        guest, site = self.guest, self.site
        guest.run(*APT, "install", *self.previous)
        self.commission()
        self.first_packs()
        version, pid = guest.run("dpkg-query", "-W", "-f", "${Version}", UNIT).stdout, guest.main_pid(UNIT)
        site.platform.behave(kind="down")
        time.sleep(3)
        guest.run(*APT, "install", *self.built())
        self.restarted(pid)
        guest.run("systemctl", "restart", "platform")
        wait_until(site.platform.answers, "the platform listens again")
        site.wait_for_fresh()
        self.nothing_lost(f"an upgrade from {version}")

    def built(self):
        return [f"/root/{deb.name}" for deb in sorted(self.guest.path("/root").glob("*.deb"))]

    def install(self):
        guest = self.guest
        guest.run(*APT, "install", *self.built())
        changed = [line for line in guest.run("dpkg", "-V", UNIT, check=False).stdout.splitlines() if " c /etc/" not in line]
        self.check("installed files are as packaged", not changed, str(changed))
        self.check("the service has a user of its own, in the group of serial ports",
                   "dialout" in guest.run("id", "-Gn", UNIT).stdout.split())
        modes = guest.run("stat", "-c", "%a %U", STATE, f"{ETC}/secrets", ETC).stdout.splitlines()
        self.check("state and secrets are closed to others", modes[:2] == [f"700 {UNIT}"] * 2 and modes[2].endswith(" root"),
                   str(modes))
        self.check("the service runs after installation and starts at boot", guest.is_active(UNIT) and
                   guest.run("systemctl", "is-enabled", UNIT, check=False).stdout.strip() == "enabled",
                   guest.sh(f"systemctl status {UNIT} --no-pager -n 20", check=False).stdout)
        files = guest.run("dpkg", "-L", UNIT).stdout
        self.check("man pages come along", "/man1/kpn-things-gateway.1" in files
                   and "/man5/kpn-things-gateway.yaml.5" in files, files)
        after = guest.show(UNIT, "After") + guest.show(UNIT, "Wants") + guest.show(UNIT, "Requires")
        self.check("no network is waited for", "network" not in after, after)

    # Commissioned.
    def commission(self):
        site, guest = self.site, self.guest
        site.provision()
        files = guest.sh(f"stat -c '%a %U' {ETC}/secrets/boiler").stdout.strip()
        self.check("provision run by root leaves secrets that the service can read and nobody else",
                   files in (f"600 {UNIT}", f"400 {UNIT}"), files)
        if not files.endswith(UNIT):
            guest.run("chown", f"{UNIT}:{UNIT}", f"{ETC}/secrets/boiler")
        site.configure()
        site.platform.start()
        guest.run("systemctl", "daemon-reload")
        guest.run("systemctl", "restart", UNIT)

    def first_packs(self):
        self.site.wait_for_fresh()
        self.check("packs of both devices are accepted", True)
        checked = self.guest.run("kpn-things-gateway", "check", check=False)
        self.check("check finds nothing wrong, credentials included", checked.returncode == 0
                   and "warning" not in checked.stderr, checked.stderr)
        status = self.guest.run("kpn-things-gateway", "status").stdout
        self.check("status prints both devices", "boiler" in status and "chiller" in status, status)
        self.check("nothing was refused", not self.site.platform.stats()["refused"])

    def downlink(self):
        site = self.site
        boiler = site.devices["boiler"][0]
        since = self.guest.time()
        site.platform.downlink(boiler, [{"n": "setpoint", "u": "Cel", "v": 22.5}])
        wait_until(lambda: site.plc.float_at(200) == 22.5, "the downlink reaches the device", 30)

        def reported():
            newest = site.platform.newest(device=boiler, name="setpoint")
            return newest and newest["value"] == 22.5
        wait_until(reported, "its outcome is at the platform", 30)
        self.check("a downlink is carried out and reported", True)
        records = [r for r in self.guest.journal("-u", UNIT, f"--since={since}") if r.get("THINGS_COMMAND")]
        self.check("it left a line with device, point and verdict in the journal", any(
            r.get("THINGS_DEVICE") == "boiler" and r.get("THINGS_POINT") == "setpoint" and r.get("THINGS_VERDICT")
            for r in records), str(records)[:500])

    def sandbox(self):
        guest = self.guest
        for unit in (UNIT, "kpn-things-gateway@x"):
            out = guest.run("systemd-analyze", "security", "--no-pager", f"{unit}.service", check=False).stdout.splitlines()
            level = next((line for line in reversed(out) if "exposure level" in line), "none")
            exposure = float(level.split(":")[1].split()[0]) if ":" in level else 10
            self.check(f"exposure of {unit} is {exposure}, at most {EXPOSURE}", exposure <= EXPOSURE, level)
        status = pathlib.Path(f"/proc/{guest.main_pid(UNIT)}/status").read_text()
        field = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        self.check("it is not root, has no capability, gets none, and is filtered",
                   field["Uid"].split()[0] != "0" and field["CapEff"] == "0" * 16 and field["CapBnd"] == "0" * 16
                   and field["NoNewPrivs"] == "1" and field["Seccomp"] == "2", status)
        self.check("memory and tasks are limited, core files forbidden",
                   guest.show(UNIT, "MemoryMax").isdigit() and guest.show(UNIT, "TasksMax").isdigit()
                   and guest.show(UNIT, "LimitCORE") == "0")
        said = guest.sh(f"cd /usr/lib/systemd/system && systemd-analyze verify --man=no {UNIT}.service {UNIT}@.service 2>&1 | "
                       "grep -i things", check=False).stdout
        self.check("systemd has nothing to say about the units", said == "", said)

    def second_instance(self):
        """One more gateway on the machine; later one of its threads is made to hang."""
        self.guest.write(f"{ETC}/second.yaml", f"""\
things: {{url: "{self.site.platform.url}", ca_file: platform.pem}}
batch: {{max_age: 1s}}
queue: {{path: {STATE}/second/queue.db, hot_path: {RUN}/second/queue}}
time: {{require_sync: false}}
control: {{socket: {RUN}/second/control.sock}}
web: {{listen: "127.0.0.1:8481"}}
sources: {{fake: {{plugin: simulated}}, well: {{plugin: exec, command: [/usr/local/bin/well]}}}}
devices:
  - {{name: greenhouse, dvnuuid: {self.site.devices['boiler'][0]}, secret: {{file: secrets/boiler}}, source: fake,
     interval: 1s, points: [{{name: humidity, wave: sine}}, {{name: level, source: well}}, {{name: reached, source: well}}]}}
""")
        self.guest.write("/usr/local/bin/well", PROGRAM, 0o755)
        self.guest.run("systemctl", "start", SECOND)
        wait_until(lambda: self.site.platform.newest(name="humidity"), "the second gateway delivers", 30)
        self.check("a second gateway runs beside the first", self.guest.is_active(UNIT) and self.guest.is_active(SECOND))
        self.check("a program may not be executed as long as nobody allowed it",
                   self.site.platform.newest(name="level") is None)
        self.guest.write(f"/etc/systemd/system/{SECOND}.service.d/exec.conf",
                         "[Service]\nExecPaths=/usr/local/bin/well /usr/bin/dash /usr/bin/sleep\n")
        self.guest.sh(f"systemctl daemon-reload; systemctl restart {SECOND}")
        wait_until(lambda: self.site.platform.newest(name="level"), "a program that was allowed delivers", 30)
        self.check("one that was allowed delivers", True)
        self.walls()

    def walls(self):
        """The guest has this machine's kernel: what its Landlock lacks is said at a start, and nothing that it has."""
        version = ctypes.CDLL(None).syscall(444, 0, 0, 1)
        said = self.guest.sh(f"journalctl -q --no-pager -u {SECOND}").stdout
        missing = "this kernel offers no Landlock" if version < 1 else f"the Landlock of this kernel is version {version},"
        self.check(f"a start says what Landlock {version} lacks", (missing in said) == (version < 6), said[-2000:])
        if version < 1:
            return print("skipped: what the program reaches: this kernel has no Landlock", flush=True)
        wait_until(lambda: self.site.platform.newest(name="reached"), "the program has tried", 30)
        self.check("a program reaches neither secrets nor queue", self.site.platform.newest(name="reached")["value"] == 0)

    def hanging_thread_begins(self):
        self.stopped = StoppedThread(self.guest.main_pid(SECOND), "upload")
        self.stopped_at = time.monotonic()

    # Watched.
    def journal(self):
        """A device with a fault and a refused one are told with their names, and not again and again."""
        site, guest = self.site, self.guest
        since = guest.time()
        chiller = site.devices["chiller"]

        def records():
            return [r for r in guest.journal("-u", UNIT, f"--since={since}") if r.get("SYSLOG_IDENTIFIER") == UNIT]

        def told(*fields):
            wait_until(lambda: all(any(r.get(f) for r in records()) for f in fields), f"records with {fields}", 60, 0.5)
        try:
            site.platform.control("POST", "/devices", {"id": chiller[0], "secret": "x" * 40, "name": "chiller"})
            told("THINGS_DEVICE", "THINGS_VERDICT")
            site.plc.exception = 4  # not before: then nothing would be read, and nothing posted that could be refused
            told("THINGS_SOURCE", "THINGS_POINT")
        finally:
            site.plc.exception = None
            site.platform.control("POST", "/devices", {"id": chiller[0], "secret": chiller[1], "name": "chiller"})
        parked = [r for r in records() if r.get("THINGS_VERDICT") and r.get("THINGS_DEVICE") == "chiller"]
        self.check("a refused device is an error with its device and verdict", any(r["PRIORITY"] == "3" for r in parked),
                   str(parked)[:800])
        failing = [r for r in records() if r.get("THINGS_SOURCE") == "plc"]
        self.check("a device with a fault is a warning with its source", any(r["PRIORITY"] == "4" for r in failing),
                   str(failing)[:800])
        everything = records()
        guest.run("kpn-things-gateway", "queue", "retry", "--device", "chiller")
        guest.run("systemctl", "restart", UNIT)  # it would leave points with a fault in peace for a minute
        site.starts.append(time.monotonic())
        site.kills.append(time.monotonic())
        site.wait_for_fresh()
        self.check("what repeats is told once", len(everything) < 10, f"{len(everything)} records")
        self.check("every record has a level", all(r.get("PRIORITY") in "3467" for r in everything))

    def endpoints(self):
        answers = {path: self.site.get(path) for path in PAGES}
        self.check("page, metrics, health and status are served", all(
            code == 200 for path, (code, _) in answers.items() if path != "/healthz"),
            str({path: code for path, (code, _) in answers.items()}))
        self.check("metrics carry the prefix", "things_gateway_" in answers["/metrics"][1])
        status = json.loads(answers["/api/v1/status"][1])
        self.check("the status document lists both devices", len(status["devices"]) == 2)
        self.check("a foreign host name is refused", self.site.get("/", host="evil.example")[0] == 421)

    # In trouble.
    def restarted(self, before, seconds=60):
        pid = wait_until(lambda: (lambda now: now if now and now != before else None)(self.guest.main_pid(UNIT)),
                         "the service runs again", seconds, 0.2)
        self.site.starts.append(time.monotonic())
        return pid

    def nothing_lost(self, what):
        result = self.site.losses()
        self.check(f"{what}: nothing lost of {result.required} readings", result.required > 0 and not result.missing,
                   str(result.missing[:5]))
        self.check(f"{what}: nothing invented", not result.wrong, str(result.wrong[:5]))

    def crash(self):
        for _ in range(3):
            self.site.platform.behave(kind="down")
            time.sleep(2)  # readings that only the queue holds
            pid = self.guest.main_pid(UNIT)
            os.kill(pid, signal.SIGKILL)
            self.site.kills.append(time.monotonic())
            self.site.platform.behave_well()
            self.restarted(pid)
        self.site.wait_for_fresh()
        self.nothing_lost("three crashes")
        self.check("no core file was left", self.guest.sh("find / -xdev -name 'core*' -type f -size +100k -newer /root "
                                                         "-not -path '/usr/*' -not -path '/proc/*'").stdout == "")

    def hang(self):
        pid = self.guest.main_pid(UNIT)
        since = self.guest.time()
        os.kill(pid, signal.SIGSTOP)
        self.site.kills.append(time.monotonic())
        self.restarted(pid, 90)
        told = [r for r in self.guest.journal("-u", UNIT, f"--since={since}") if "atchdog" in str(r.get("MESSAGE"))]
        self.check("a daemon that hangs is killed by the watchdog and comes back", bool(told))
        self.site.wait_for_fresh()
        self.nothing_lost("a hang")

    def hanging_thread_ends(self):
        """Also when only one thread hangs and the loop goes on."""
        try:
            wait_until(self.stopped.is_gone, "the gateway with the hanging thread is killed", 120, 0.2)
        except AssertionError:
            self.stopped.kill()
            raise
        took = time.monotonic() - self.stopped_at
        wait_until(lambda: self.guest.is_active(SECOND), "it runs again", 30, 0.2)
        told = [r for r in self.guest.journal("-u", SECOND) if "upload thread" in str(r.get("MESSAGE"))]
        self.check(f"a single thread that hangs is noticed and the service restarted ({took:.0f} s)", bool(told))
        self.guest.run("systemctl", "stop", SECOND)
        self.guest.path(f"{ETC}/second.yaml").unlink()

    def wrong_configuration(self):
        guest = self.guest
        guest.write(f"{ETC}/devices.d/wrong.yaml", "sources:\n  plc2: {plugin: modbus, hots: 127.0.0.1}\n")
        pid = guest.main_pid(UNIT)
        guest.run("systemctl", "restart", UNIT)
        self.restarted(pid)
        status = guest.run("kpn-things-gateway", "status", check=False).stdout
        self.check("with a wrong configuration it starts with the one last accepted, and says what is wrong",
                   guest.is_active(UNIT) and "wrong.yaml:2:" in status, status)
        # A gateway that never ran has none.
        for copy in guest.path("/var/lib/kpn-things-gateway").glob("last-good*"):
            copy.unlink()
        before = guest.show(UNIT, "NRestarts")
        guest.run("systemctl", "restart", UNIT, check=False)
        self.site.kills.append(time.monotonic() + GRACE)
        wait_until(lambda: guest.show(UNIT, "ActiveState") == "failed", "the service has failed", 30)
        time.sleep(5)  # more than any restart waits
        self.check("without one it ends with 78 and is not tried again",
                   guest.show(UNIT, "ExecMainStatus") == "78" and guest.show(UNIT, "ActiveState") == "failed"
                   and guest.show(UNIT, "NRestarts") in (before, "0"), guest.show(UNIT, "ExecMainStatus"))
        status = guest.run("systemctl", "status", UNIT, "--no-pager", "-n", "20", check=False).stdout
        self.check("systemctl status shows file, line, column and the nearest key",
                   "wrong.yaml:2:" in status and "host" in status, status)
        guest.path(f"{ETC}/devices.d/wrong.yaml").unlink()
        guest.run("systemctl", "start", UNIT)
        self.site.starts.append(time.monotonic())
        self.site.wait_for_fresh()

    def reload(self):
        guest, site = self.guest, self.site
        pid = guest.main_pid(UNIT)
        file = guest.path(f"{ETC}/devices.d/site.yaml")
        good = file.read_text()
        more = good.replace("points: [{name: counter", "points: [{name: pressure, holding: 300}, {name: counter")
        file.write_text(more)
        guest.run("systemctl", "reload", UNIT)
        wait_until(lambda: site.platform.newest(name="pressure"), "the new point is at the platform", 30)
        self.check("a reload brings a new point without a restart", guest.main_pid(UNIT) == pid)
        file.write_text(more.replace("source: plc", "source: nowhere"))
        refused = guest.run("systemctl", "reload", UNIT, check=False)
        site.wait_for_fresh()
        self.check("a wrong one fails the reload, and the old one goes on",
                   refused.returncode != 0 and guest.main_pid(UNIT) == pid and guest.is_active(UNIT))
        file.write_text(good)
        guest.run("systemctl", "reload", UNIT)
        site.wait_for_fresh()

    # Upgraded.
    def upgrade(self):
        guest, site = self.guest, self.site
        deb = next(guest.path("/root").glob("kpn-things-gateway_*.deb"))
        repack(deb, "99.0", guest.path("/root/next.deb"))
        pid = guest.main_pid(UNIT)
        ours = guest.path(f"{ETC}/gateway.yaml").read_text()
        guest.run(*APT, "install", "/root/next.deb")
        self.restarted(pid)
        self.check("an upgrade restarts the service", guest.is_active(UNIT))
        self.check("what the user changed in a configuration file stays; the new one lies beside it",
                   guest.path(f"{ETC}/gateway.yaml").read_text() == ours
                   and NEW_LINE in guest.path(f"{ETC}/gateway.yaml.dpkg-dist").read_text())
        site.wait_for_fresh()
        self.nothing_lost("an upgrade")
        pid = guest.main_pid(UNIT)
        guest.run(*APT, "install", "--allow-downgrades", f"/root/{deb.name}")
        self.restarted(pid)
        site.wait_for_fresh()
        self.nothing_lost("a downgrade with the same queue")

    def power_cut(self):
        guest, site = self.guest, self.site
        site.wait_for_packs()
        begin = time.monotonic()
        guest.cut_power()
        site.kills.append(time.monotonic())
        site.excused.append((begin - COMMIT_INTERVAL - GRACE, site.kills[-1]))
        guest.boot()
        wait_until(lambda: guest.is_active(UNIT), "the service is up after boot", 60, 0.2)
        site.starts.append(time.monotonic())
        wait_until(site.platform.answers, "the platform listens", 60, 0.2)
        site.wait_for_fresh()
        self.check("after a power cut everything comes back by itself", True)
        self.nothing_lost("a power cut")

    def newer_queue(self):
        """A queue that a later version wrote is left as it is."""
        guest, site = self.guest, self.site
        guest.run("systemctl", "stop", UNIT)
        site.kills.append(time.monotonic() + GRACE)
        import sqlite3
        queue = guest.path(f"{STATE}/queue.db")
        with sqlite3.connect(queue) as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            database.execute(f"PRAGMA user_version = {version + 1}")
        database.close()
        before = queue.read_bytes()
        since = guest.time()
        guest.run("systemctl", "start", UNIT, check=False)
        told = wait_until(lambda: [r for r in guest.journal("-u", UNIT, f"--since={since}")
                                   if "newer" in str(r.get("MESSAGE"))], "the refusal is in the journal", 30)
        guest.run("systemctl", "stop", UNIT)
        self.check("a queue of a newer version is refused and not touched", queue.read_bytes() == before, str(told)[:300])
        with sqlite3.connect(queue) as database:
            database.execute(f"PRAGMA user_version = {version}")
        database.close()
        guest.run("systemctl", "reset-failed", UNIT, check=False)
        guest.run("systemctl", "start", UNIT)
        site.starts.append(time.monotonic())
        site.wait_for_fresh()

    def reinstall(self):
        guest, site = self.guest, self.site
        site.platform.behave(kind="down")
        time.sleep(3)  # readings that only the queue holds
        guest.run(*APT, "remove", UNIT)
        site.kills.append(time.monotonic() + GRACE)
        self.check("after remove the service is gone, the queue and the configuration stay",
                   not guest.is_active(UNIT) and guest.path(f"{STATE}/queue.db").exists()
                   and guest.path(f"{ETC}/gateway.yaml").exists() and guest.path(f"{ETC}/secrets/boiler").exists())
        site.platform.behave_well()
        guest.run(*APT, "install", "/root/next.deb")
        wait_until(lambda: guest.is_active(UNIT), "the service is back", 30, 0.2)
        site.starts.append(time.monotonic())
        site.wait_for_fresh()
        self.nothing_lost("remove and install")

    def books(self):
        def balance():
            queue = json.loads(self.site.get("/api/v1/status")[1])["queue"]
            self.last_books = queue
            return queue["read"] == queue["accepted"] + queue["queued"] + queue["dead"] + sum(queue["dropped"].values())
        self.check("the books balance", balance(), str(getattr(self, "last_books", "")))

    # The secrets were seen by nobody.
    def encrypted_credential(self):
        self.canary.encrypt()

    def core_file(self):
        self.canary.core()

    def search_for_secrets(self):
        self.canary.search()

    def purge(self):
        guest = self.guest
        guest.run(*APT, "purge", UNIT)
        left = [path for path in (STATE, RUN, ETC + "/secrets", ETC + "/gateway.yaml", f"/var/log/{UNIT}")
                if guest.path(path).exists() and not str(path).startswith("/run")]
        self.check("purge takes queue, secrets and configuration along", not left, str(left))
        self.check("and leaves nothing of the package",
                   guest.run("dpkg-query", "-W", "-f", "${db:Status-Status}", UNIT, check=False).stdout in ("", "not-installed")
                   and guest.sh("ls /etc/systemd/system/*.wants | grep things", check=False).stdout == "")
        self.check("what the user added stays", guest.path(f"{ETC}/devices.d/site.yaml").exists())
        self.check("no unit is left failed", guest.sh("systemctl --failed --no-legend | grep things", check=False).stdout == "")

    def purge_with_a_disk(self):
        """The state folder is a mount point, so it cannot go, and what is on the disk must."""
        guest = self.guest
        guest.sh(f"mkdir -p {STATE} && mount -t tmpfs tmpfs {STATE} && mkdir {STATE}/lost+found")
        guest.run(*APT, "install", "/root/next.deb")
        # The devices that the user added outlived the purge, their secrets did not: no start gets better by trying again.
        wait_until(lambda: guest.show(UNIT, "ExecMainStatus") == "78", "the service has ended with 78", 30, 0.2)
        said = guest.sh(f"journalctl -q --no-pager -u {UNIT} -n 20").stdout
        self.check("devices whose secrets were purged are refused with their place", f"{ETC}/devices.d/site.yaml:" in said, said)
        guest.sh(f"rm {ETC}/devices.d/site.yaml && systemctl restart {UNIT}")
        wait_until(lambda: guest.is_active(UNIT), "the service is back on the disk", 30, 0.2)
        guest.sh(f"echo a reading >{STATE}/left")
        purged = guest.run(*APT, "purge", UNIT, check=False)
        self.check("purge takes what is on the disk and leaves the mount point",
                   purged.returncode == 0 and guest.sh(f"ls -A {STATE}").stdout.split() == ["lost+found"], purged.stdout[-800:] +
                   purged.stderr[-800:])
        self.check("the package is gone then too",
                   guest.run("dpkg-query", "-W", "-f", "${db:Status-Status}", UNIT, check=False).stdout in ("", "not-installed"))
        guest.sh(f"umount {STATE} && rmdir {STATE}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as the first process of our own we would not hear it
    acceptance = Acceptance(sys.argv[1])
    try:
        return acceptance.run()
    finally:
        acceptance.guest.end()


if __name__ == "__main__":
    sys.exit(main())
