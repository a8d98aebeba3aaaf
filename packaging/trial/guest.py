# SPDX-License-Identifier: Apache-2.0
"""A Debian with systemd in a folder, booted with systemd-nspawn in the network of this process. Root only."""

import json
import os
import pathlib
import signal
import subprocess
import time

from support.simulator import wait_until

ENVIRONMENT = ["env", "-i", "HOME=/root", "TERM=dumb", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive",
               "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
CGROUPS = pathlib.Path("/sys/fs/cgroup")


def enter_cgroup(name):
    """A control group of our own, so that systemd-nspawn puts the guest's below it."""
    for top in (CGROUPS, CGROUPS / "unified", CGROUPS / "systemd"):
        if (top / "cgroup.procs").exists():
            (top / name).mkdir(exist_ok=True)
            (top / name / "cgroup.procs").write_text("0")


class Guest:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.console = open(self.root.with_suffix(".console"), "w")
        self.process = None
        self.leader = None
        enter_cgroup(f"things-{time.time_ns()}")

    def boot(self):
        # Without a bus to register with: this machine need not run systemd itself.
        self.process = subprocess.Popen(
            ["systemd-nspawn", f"--directory={self.root}", "--machine=gateway", "--boot", "--register=no", "--keep-unit",
             "--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
             # A machine of its own would have it, and plugins are shut away with it.
             "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self"],
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console, start_new_session=True,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"})
        self.leader = wait_until(self.find_leader, "the guest has an init", 60)
        wait_until(lambda: self.sh("systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded"),
                   "the guest is up", 120, 0.2)

    def find_leader(self):
        if self.process.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended with {self.process.returncode}")
        for child in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                if os.readlink(f"/proc/{child}/exe").endswith("/systemd"):
                    return int(child)
            except OSError:
                pass

    def cut_power(self):
        """Everything in it dies at once; what was in memory is gone."""
        os.kill(self.leader, signal.SIGKILL)
        self.process.wait(60)

    def end(self):
        if self.process and self.process.poll() is None:
            self.cut_power()
        self.console.close()

    def run(self, *command, check=True, text=None, seconds=300):
        result = subprocess.run(
            ["nsenter", f"--target={self.leader}", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd=/",
             "--", *ENVIRONMENT, *map(str, command)],
            input=text if text is not None else "", capture_output=True, encoding="utf-8", errors="replace", timeout=seconds)
        if check and result.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))[:300]}: exit code {result.returncode}\n{result.stdout[-2000:]}"
                                 f"{result.stderr[-2000:]}")
        return result

    def sh(self, script, **more):
        return self.run("sh", "-c", script, **more)

    def path(self, path):
        return self.root / str(path).lstrip("/")

    def write(self, path, text, mode=0o644):
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    # The service manager.
    def show(self, unit, name):
        return self.run("systemctl", "show", unit, f"--property={name}", "--value").stdout.strip()

    def is_active(self, unit):
        return self.show(unit, "ActiveState") == "active"

    def main_pid(self, unit):
        """As this process sees it; None while there is none."""
        inside = self.show(unit, "MainPID")
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                ids = next(line for line in status.read_text().splitlines() if line.startswith("NSpid:")).split()[1:]
                if len(ids) > 1 and ids[-1] == inside and os.readlink(status.parent / "exe").endswith("kpn-things-gateway"):
                    return int(ids[0])
            except (OSError, StopIteration):
                pass  # it ended while we looked
        return None

    def journal(self, *options):
        out = self.run("journalctl", "--output=json", "--all", "--no-pager", "--quiet", *options, check=False).stdout
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def time(self):
        return f"@{time.time():.6f}"
