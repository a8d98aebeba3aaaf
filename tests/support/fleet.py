# SPDX-License-Identifier: Apache-2.0
"""A large fleet for scenarios and benchmarks: devices spread evenly over Modbus TCP sources, as a table or as YAML.

    fleet = Fleet(folder, ports)          # secrets and profile are written into the folder
    fleet.sources() + fleet.table()       # the YAML behind support.gateway.settings()
"""

POINT = "{{name: value{0}, unit: W, holding: {1}, type: float32, scale: 0.1}}"


class Fleet:
    def __init__(self, folder, ports, devices=500, points=20, interval="10s"):
        self.folder, self.ports, self.points, self.interval = folder, list(ports), points, interval
        self.names = [f"device{i}" for i in range(devices)]
        self.uuids = [f"6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e{i:04x}" for i in range(devices)]
        self.secrets = [f"abcdefghijklmnopqrstuvwxyz{i:04}" for i in range(devices)]
        (folder / "secrets").mkdir(exist_ok=True)
        for name, secret in zip(self.names, self.secrets):
            file = folder / "secrets" / name
            file.write_text(secret)
            file.chmod(0o600)

    def known(self):
        """What the simulator has to know."""
        return [{"dvnuuid": u, "secret": s, "name": n} for u, s, n in zip(self.uuids, self.secrets, self.names)]

    def line_of(self, device):
        return device % len(self.ports)

    def unit_of(self, device):
        return device // len(self.ports) + 1

    def sources(self):
        return "sources:\n" + "".join(f"  line{i}: {{plugin: modbus, host: 127.0.0.1, tcp_port: {port}}}\n"
                                      for i, port in enumerate(self.ports))

    def table(self):
        """devices: {csv: ...} with a profile."""
        profiles = self.folder / "profiles"
        profiles.mkdir(exist_ok=True)
        points = "".join(f"  - {POINT.format(p, 2 * p)}\n" for p in range(self.points))
        (profiles / "meter.yaml").write_text(f"plugin: modbus\ndevice: {{interval: {self.interval}}}\npoints:\n{points}")
        rows = "".join(f"{n},{u},secrets/{n},line{self.line_of(i)},{self.unit_of(i)},meter\n"
                       for i, (n, u) in enumerate(zip(self.names, self.uuids)))
        (self.folder / "fleet.csv").write_text("name,dvnuuid,secret_file,source,unit_id,profile\n" + rows)
        return "devices: {csv: fleet.csv}\n"

    def in_full(self, point=POINT):
        """Every point of every device spelled out."""
        points = "".join(f"      - {point.format(p, 2 * p)}\n" for p in range(self.points))
        return "devices:\n" + "".join(self.device(i, points) for i in range(len(self.names)))

    def device(self, i, points):
        return (f"  - name: {self.names[i]}\n    dvnuuid: {self.uuids[i]}\n    secret: {{file: secrets/{self.names[i]}}}\n"
                f"    source: line{self.line_of(i)}\n    unit_id: {self.unit_of(i)}\n    interval: {self.interval}\n"
                f"    points:\n{points}")
