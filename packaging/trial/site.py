# SPDX-License-Identifier: Apache-2.0
"""A small site round a guest: a Modbus device in this process, the platform from its package in the guest, two devices."""

import csv
import http.client
import time

from campaigns.kill import judge
from support.modbus_server import ModbusServer
from support.simulator import PATH, Simulator, wait_until

ETC = "/etc/kpn-things-gateway"
PORT, CONTROL_PORT = 8443, 8444
UNIT = "kpn-things-gateway"

DEVICES = """\
sources:
  plc: {{plugin: modbus, host: 127.0.0.1, tcp_port: {port}, timeout: 40s}}
devices:
  - name: boiler
    dvnuuid: {boiler}
    secret: {{file: ../secrets/boiler}}
    source: plc
    interval: 200ms
    points:
      - {{name: counter, holding: 0, type: uint32}}
      - {{name: setpoint, unit: Cel, holding: 200, type: float32, interval: 1s, writable: {{min: 5, max: 30}}}}
  - name: chiller
    dvnuuid: {chiller}
    secret: {{credential: chiller}}
    source: plc
    unit_id: 2
    interval: 200ms
    points: [{{name: counter, holding: 0, type: uint32}}]
"""


class Platform(Simulator):
    """The simulator's package as a service of the guest; what it accepted is in a file that outlives it."""

    def __init__(self, guest):
        self.guest = guest
        self.port, self.control_port = PORT, CONTROL_PORT
        self.ca_file = f"{ETC}/platform.pem"
        self.store = guest.path("/var/lib/platform/accepted.tsv")
        self.url = f"https://127.0.0.1:{PORT}{PATH}"
        self.devices = guest.path("/var/lib/platform/devices.csv")

    def start(self):
        self.guest.write("/etc/systemd/system/platform.service", f"""\
[Service]
ExecStart=/usr/bin/things-simulator --port {PORT} --control-port {CONTROL_PORT} --devices /var/lib/platform/devices.csv \\
  --ca-out {self.ca_file} --store /var/lib/platform/accepted.tsv --verbose
StateDirectory=platform
[Install]
WantedBy=multi-user.target
""")
        self.guest.sh("systemctl daemon-reload; systemctl enable --quiet --now platform")
        wait_until(self.answers, "the platform listens")

    def answers(self):
        try:
            return self.stats()
        except OSError:
            return None

    def stop(self):
        self.guest.run("systemctl", "stop", "platform")


class Site:
    def __init__(self, guest):
        self.guest = guest
        self.plc = ModbusServer()
        self.plc.count_at(0)
        self.plc.set_float(200, 20)
        self.platform = Platform(guest)
        self.kills, self.starts = [], [time.monotonic()]
        self.excused = []  # (from, to): what was served then may be lost in a power cut, which takes effect at the latest at `to`
        self.devices = {}  # name -> (dvnuuid, secret)

    def provision(self):
        """As a technician does: root makes the identities, and registers them in the Portal."""
        result = self.guest.run("kpn-things-gateway", "provision", "--names", "boiler,chiller", "--directory",
                                f"{ETC}/secrets", "--portal", "/root/portal.csv")
        for row in csv.DictReader(open(self.guest.path("/root/portal.csv"))):
            self.devices[row["name"]] = (row["dvnuuid"], row["secret"])
        return result

    def configure(self):
        self.guest.sh("install -d -m 700 /etc/credstore /var/lib/platform; "
                      f"mv {ETC}/secrets/chiller /etc/credstore/chiller; chown root:root /etc/credstore/chiller; "
                      "cp /root/portal.csv /var/lib/platform/devices.csv; rm /root/portal.csv")
        config = self.guest.path(f"{ETC}/gateway.yaml")
        text = config.read_text()
        for before, after in (("  url: https://prod.dm.kpnthings.com/ingestion/ip/senml/v1\n", f"  url: {self.platform.url}\n"),
                              ("  ca_file: null\n", "  ca_file: platform.pem\n"), ("  max_age: 60s\n", "  max_age: 1s\n"),
                              ("  require_sync: true\n", "  require_sync: false\n")):
            assert before in text, before
            text = text.replace(before, after, 1)
        config.write_text(text)
        uuids = {name: uuid for name, (uuid, _) in self.devices.items()}
        self.guest.write(f"{ETC}/devices.d/site.yaml", DEVICES.format(port=self.plc.port, **uuids))
        self.guest.write(f"/etc/systemd/system/{UNIT}.service.d/credentials.conf",
                         "[Service]\nLoadCredential=chiller:/etc/credstore/chiller\n")

    def units(self):
        return {self.devices["boiler"][0]: 1, self.devices["chiller"][0]: 2}

    def accepted(self):
        """(device, value, time) of every accepted counter."""
        return [(device, int(float(value)), time_) for _, device, name, time_, value in self.platform.kept() if name == "counter"]

    def wait_for_packs(self, more=2, seconds=60):
        before = self.platform.stats()["accepted_packs"]
        wait_until(lambda: self.platform.stats()["accepted_packs"] >= before + more, f"{more} more packs are accepted",
                   seconds, 0.1)

    def wait_for_fresh(self, seconds=60):
        """Until a value that the device gives out from now on has been accepted of both devices."""
        for unit, uuid in ((1, self.devices["boiler"][0]), (2, self.devices["chiller"][0])):
            since = max([read.value for read in list(self.plc.reads) if read.unit == unit], default=0)

            def arrived():
                newest = self.platform.newest(device=uuid, name="counter")
                return newest and newest["value"] > since
            wait_until(arrived, f"a fresh reading of unit {unit} is at the platform", seconds, 0.1)

    def losses(self, seconds=60):
        """What was taken more than a second before each kill and is not at the platform, once that had time to drain."""
        end = time.monotonic()
        result = None
        while time.monotonic() < end + seconds:
            result = judge(self.plc.reads, self.accepted(), self.starts, [*self.kills, end], self.units())
            served = {(read.unit, read.value): read.served for read in list(self.plc.reads)}
            result.missing = [lost for lost in result.missing
                              if not any(since <= served[lost[:2]] <= until for since, until in self.excused)]
            if result.required and not result.missing:
                break
            time.sleep(1)
        return result

    def get(self, path, host="127.0.0.1"):
        connection = http.client.HTTPConnection("127.0.0.1", 8480, timeout=10)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
