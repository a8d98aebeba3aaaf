# SPDX-License-Identifier: Apache-2.0
"""Looks for the devices' secrets wherever a gateway might leave them: core files, processes, answers, output, journal, disk.
`check` is Acceptance.check; where a search finds nothing, it was first seen to find what was laid out for it."""

import os
import pathlib
import signal
import time

from trial.site import ETC, UNIT

STATE = "/var/lib/kpn-things-gateway"
PLAIN, ENCRYPTED = "/etc/credstore/chiller", "/etc/credstore.encrypted/chiller"
PAGES = ("/", "/page.js", "/page.css", "/metrics", "/healthz", "/api/v1/status", "/api/v1/charts")
CRASH = f"""#!/bin/sh
secret=$(cat {ETC}/secrets/boiler)
kill -SEGV $$
"""


class Canary:
    def __init__(self, guest, site, check):
        self.guest, self.site, self.check = guest, site, check

    def secrets(self):
        return [secret for _, secret in self.site.devices.values()]

    def holds(self, data):
        text = data.decode(errors="replace") if isinstance(data, bytes) else data
        return any(secret in text for secret in self.secrets())

    def encrypt(self):
        """From now on the chiller's secret is on this disk only as systemd encrypted it."""
        guest = self.guest
        guest.sh(f"install -d -m 700 {pathlib.Path(ENCRYPTED).parent}; "
                 f"systemd-creds encrypt --with-key=host --name=chiller {PLAIN} {ENCRYPTED} && rm {PLAIN}")
        guest.write(f"/etc/systemd/system/{UNIT}.service.d/credentials.conf",
                    f"[Service]\nLoadCredentialEncrypted=chiller:{ENCRYPTED}\n")
        self.restart()
        self.check("an encrypted credential is a secret to send with", not self.holds(guest.path(ENCRYPTED).read_bytes())
                   and not guest.path(PLAIN).exists())

    def core(self):
        """A crash of a service that may leave a core file. A shell that knows a secret leaves one with it in the same folder;
        the gateway leaves none, as it forbids that itself."""
        guest = self.guest
        pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
        if pattern[0] in "|/":
            print(f"        not shown: core files of this machine go to {pattern}", flush=True)
            return
        guest.write("/usr/local/bin/crash", CRASH, 0o755)
        guest.run("systemd-run", "--quiet", "--wait", "--collect", f"--property=User={UNIT}", "--property=LimitCORE=infinity",
                  f"--property=WorkingDirectory={STATE}", "/usr/local/bin/crash", check=False)
        cores = list(guest.path(STATE).glob("core*"))
        self.check("a shell that crashes leaves its secret in a core file", len(cores) == 1 and self.holds(cores[0].read_bytes()))
        for core in cores:
            core.unlink()
        override = f"/etc/systemd/system/{UNIT}.service.d/core.conf"
        guest.write(override, f"[Service]\nLimitCORE=infinity\nWorkingDirectory={STATE}\n")
        self.restart()
        pid = guest.main_pid(UNIT)
        owner = pathlib.Path(f"/proc/{pid}/environ").stat().st_uid
        self.check("the gateway's memory is closed to other processes of its user", owner == 0, f"it belongs to {owner}")
        since = guest.time()
        os.kill(pid, signal.SIGSEGV)
        self.site.wait_for_fresh()
        ended = [r.get("EXIT_CODE") for r in guest.journal("-u", UNIT, f"--since={since}") if r.get("EXIT_CODE")]
        cores = list(guest.path(STATE).glob("core*"))
        self.check("a gateway that crashes leaves none", ended == ["killed"] and not cores, f"{ended} {cores}")
        guest.path(override).unlink()
        self.restart()

    def restart(self):
        self.guest.sh(f"systemctl daemon-reload; systemctl restart {UNIT}")
        self.site.starts.append(time.monotonic())
        self.site.kills.append(time.monotonic())
        self.site.wait_for_fresh()

    def search(self):
        """The service is stopped at the end, so that what it writes at the last moment is there too."""
        guest = self.guest
        pid = guest.main_pid(UNIT)
        for name in ("environ", "cmdline"):
            self.check(f"no secret in /proc/PID/{name}", not self.holds(pathlib.Path(f"/proc/{pid}/{name}").read_bytes()))
        pages = "".join(self.site.get(path)[1] for path in PAGES)
        self.check("no secret in any HTTP answer", not self.holds(pages))
        printed = guest.sh("kpn-things-gateway status --json; kpn-things-gateway check --print; "
                           "kpn-things-gateway queue list", check=False)
        self.check("no secret in what the commands print", not self.holds(printed.stdout + printed.stderr))
        log = guest.run("journalctl", "--output=export", "--all").stdout
        self.check(f"no secret in {len(log) // 1000} kB of journal", len(log) > 10_000 and not self.holds(log))
        guest.run("systemctl", "stop", UNIT)
        self.check_disk()

    def check_disk(self):
        guest = self.guest
        patterns = guest.path("/root/canary")
        patterns.write_text("\n".join(self.secrets()) + "\n")
        found = guest.sh("grep -rlaF -f /root/canary / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev", check=False,
                         seconds=600).stdout.split()
        patterns.unlink()
        allowed = {str(path) for path in ("/root/canary", f"{ETC}/secrets/boiler", "/var/lib/platform/devices.csv")}
        self.check("no secret in any file but those that hold it: database, hot log, journal, core files",
                   set(found) == allowed, str(sorted(set(found) ^ allowed)))
