# SPDX-License-Identifier: Apache-2.0
"""The demo: a boiler behind Modbus TCP, a greenhouse made up, the gateway, and a stand-in for KPN Things, all on this
machine. Says in plain words what goes in and what comes out, and checks it. Started by packaging/demo."""

import argparse
import pathlib
import secrets
import signal
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time
import uuid

TREE = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "tests"))
from support.modbus_client import ModbusClient  # noqa: E402
from support.simulator import BUILD, Simulator, wait_until  # noqa: E402

CONFIGURATION = """\
things:
  url: {url}
  ca_file: {ca_file}              # the stand-in's own certificate authority
batch: {{max_age: 5s}}
queue: {{path: {folder}/queue.db, hot_path: {folder}/hot}}
time: {{require_sync: false}}
web: {{listen: 127.0.0.1:{web_port}}}
control: {{socket: {folder}/control.sock}}
log: {{level: warning}}
sources:
  plc:  {{plugin: modbus, host: 127.0.0.1, tcp_port: {modbus_port}}}
  fake: {{plugin: simulated}}
devices:
  - name: boiler                  # a real Modbus TCP device: build/tests/modbus-server
    dvnuuid: {boiler}
    secret: {{file: boiler.secret}}
    source: plc
    unit_id: 1
    interval: 2s
    points:
      - {{name: temperature, unit: Cel, holding: 100, type: int16, scale: 0.1}}
      - {{name: energy, unit: Wh, holding: 110, type: uint32}}
      - {{name: setpoint, unit: Cel, holding: 200, type: float32, writable: {{min: 5, max: 30}}}}
      - {{name: pump, coil: 3, writable: true}}
  - name: greenhouse              # made-up sensors
    dvnuuid: {greenhouse}
    secret: {{file: greenhouse.secret}}
    source: fake
    interval: 2s
    points:
      - {{name: humidity, unit: "%RH", wave: sine, min: 40, max: 80, period: 2m}}
      - {{name: illuminance, unit: lx, wave: walk, min: 100, max: 20000}}
      - {{name: window, value: 0, writable: {{min: 0, max: 100}}}}
"""

say_lock = threading.Lock()
is_terminal = sys.stdout.isatty()
colours = {"platform": "36", "gateway": "33", "plant": "32", "demo": "1"}


def say(who, text):
    with say_lock:
        label = f"{who:>8} |"
        print(f"\033[{colours[who]}m{label}\033[0m {text}" if is_terminal else f"{label} {text}", flush=True)


def follow(stream, who):
    def read():
        for line in stream:
            say(who, line.rstrip())
    threading.Thread(target=read, daemon=True).start()


def web_port():
    """The usual port of the page, or any other if somebody has it."""
    for port in (8480, 0):
        with socket.socket() as probe:
            try:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                pass


class Plant:
    """The boiler itself: once a second it warms or cools towards its set-point and counts its energy, by writing to the
    Modbus device as its own firmware would."""

    def __init__(self, port):
        self.client = ModbusClient(port)
        self.temperature, self.energy = 18.0, 4_200_000
        self.lock = threading.Lock()
        self.client.write_float(200, 20.0)
        self.step()
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    def step(self):
        with self.lock:
            setpoint = self.client.read_float(200)
            self.temperature += (setpoint - self.temperature) * 0.15
            self.energy += max(0, int((setpoint - self.temperature) * 100)) + 3
            self.client.write_holding(100, [round(self.temperature * 10) & 0xFFFF])
            self.client.write_holding(110, [self.energy >> 16, self.energy & 0xFFFF])

    def live(self):
        while True:
            time.sleep(1)
            try:
                self.step()
            except OSError:
                return

    def setpoint(self):
        with self.lock:
            return self.client.read_float(200)

    def pump(self):
        with self.lock:
            return self.client.read_coil(3)


class Demo:
    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.carried_out = 0
        self.failed = []

    def begin(self):
        devices = []
        for name in ("boiler", "greenhouse"):
            alphabet = string.ascii_letters + string.digits
            device = {"name": name, "dvnuuid": str(uuid.uuid4()),
                      "secret": "".join(secrets.choice(alphabet) for _ in range(40))}
            file = self.folder / f"{name}.secret"
            file.touch(0o600)
            file.write_text(device["secret"])
            devices.append(device)
        self.boiler, self.greenhouse = (device["dvnuuid"] for device in devices)

        port_file = self.folder / "modbus.port"
        server = subprocess.Popen([BUILD / "tests/modbus-server", "--port", "0", "--port-file", port_file],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.processes.append(server)
        wait_until(lambda: port_file.exists() or server.poll() is not None, "the Modbus device listens")
        modbus_port = int(port_file.read_text())
        self.plant = Plant(modbus_port)

        self.platform = Simulator(self.folder, devices, ["--verbose"], subprocess.PIPE)
        self.processes.append(self.platform.process)
        follow(open(self.platform.process.stdout.fileno(), closefd=False, errors="replace"), "platform")

        self.web = web_port()
        config = self.folder / "gateway.yaml"
        config.write_text(CONFIGURATION.format(url=self.platform.url, ca_file=self.platform.ca_file, folder=self.folder,
                                               web_port=self.web, modbus_port=modbus_port, boiler=self.boiler,
                                               greenhouse=self.greenhouse))
        gateway = subprocess.Popen([BUILD / "daemon/kpn-things-gateway", "run", "--config", config, "--plugin-dir",
                                    BUILD / "plugins"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace")
        self.processes.append(gateway)
        follow(gateway.stdout, "gateway")
        self.explain(config, modbus_port)

    def explain(self, config, modbus_port):
        for line in (f"A Modbus TCP device plays a boiler on port {modbus_port}; a greenhouse has made-up sensors.",
                     f"The gateway reads both every 2 s, with {config}",
                     f"It signs what it read and posts it every 5 s to {self.platform.url}",
                     "There a stand-in for KPN Things checks every token and every SenML record.",
                     f"Its page: http://127.0.0.1:{self.web}/     what the platform accepted: "
                     f"http://127.0.0.1:{self.platform.control_port}/accepted",
                     "Every 10 s the platform sends a downlink; the gateway writes it, reads it back and reports it."):
            say("demo", line)

    def check_processes(self):
        for process in self.processes:
            if process.poll() is not None:
                raise AssertionError(f"{process.args[0]} ended with {process.returncode}")

    def send_downlink(self, number):
        """Queues one; returns (device, point, value, is the value at the device, when)."""
        if number % 3 == 2:
            value = 25 * (number % 4 + 1)
            self.platform.downlink(self.greenhouse, [{"n": "window", "v": value}])
            return self.greenhouse, "window", value, None, time.time()
        if number % 3 == 1:
            value = not self.plant.pump()
            self.platform.downlink(self.boiler, [{"n": "pump", "vb": value}])
            return self.boiler, "pump", value, lambda: self.plant.pump() == value, time.time()
        value = (22.5, 17.0, 25.0)[number // 3 % 3]
        self.platform.downlink(self.boiler, [{"n": "setpoint", "u": "Cel", "v": value}])
        return self.boiler, "setpoint", value, lambda: self.plant.setpoint() == value, time.time()

    def judge(self, waiting):
        """Has the downlink been carried out: in the device, and reported back after it was sent?"""
        device, point, value, is_in_device, since = waiting
        if is_in_device and not is_in_device():
            return False
        newest = self.platform.newest(device=device, name=point)
        if newest is None or newest["value"] != value or newest["time"] < since - 0.5:
            return False
        where = {"setpoint": "holding register 200 of the Modbus device", "pump": "coil 3 of the Modbus device",
                 "window": "the simulated sensor"}[point]
        say("plant", f"{point} = {value}: written to {where}, read back, and at the platform again "
                     f"{time.time() - since:.1f} s after the downlink was queued")
        self.carried_out += 1
        return True

    def run(self, seconds):
        end = time.monotonic() + seconds if seconds else None
        next_downlink, waiting, number = time.monotonic() + 4, None, 0
        while end is None or time.monotonic() < end:
            self.check_processes()
            now = time.monotonic()
            if waiting and self.judge(waiting):
                waiting = None
            if waiting and time.time() - waiting[4] > 30:
                self.failed.append(waiting[1])
                say("demo", f"the downlink for {waiting[1]} was not carried out in 30 s")
                waiting = None
            if now >= next_downlink and not waiting and (end is None or number == 0 or now < end - 10):
                waiting, number, next_downlink = self.send_downlink(number), number + 1, now + 10
            time.sleep(0.1)
        # The last one may still be on its way.
        while waiting and not self.judge(waiting) and time.time() - waiting[4] < 30:
            self.check_processes()
            time.sleep(0.1)

    def result(self):
        stats = self.platform.stats()
        say("demo", f"{stats['accepted_packs']} packs with {stats['accepted_readings']} readings accepted, "
                    f"{sum(stats['refused'].values())} refused, {self.carried_out} downlinks carried out, "
                    f"{len(self.failed)} not")
        return stats["accepted_packs"] > 0 and self.carried_out > 0 and not stats["refused"] and not self.failed

    def end(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def main():
    parser = argparse.ArgumentParser(prog="packaging/demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0, help="end after so long; without it Ctrl-C ends the demo")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    # Not in /tmp, which is memory on Debian 13: the gateway warns of a queue there.
    with tempfile.TemporaryDirectory(prefix="things-demo-", dir="/var/tmp") as name:
        demo = Demo(pathlib.Path(name))
        good = False
        try:
            demo.begin()
            try:
                demo.run(options.seconds)
            except KeyboardInterrupt:
                say("demo", "stopping")
            good = demo.result()
        except AssertionError as error:
            say("demo", str(error))
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            demo.end()
        return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
