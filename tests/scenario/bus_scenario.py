# SPDX-License-Identifier: Apache-2.0
"""Everything that goes wrong on a bus, each on a line of its own, all in one gateway at once. The figure of each fault is
the beat of the healthy devices beside it; no value may be wrong, and the message must name what is the matter."""

import dataclasses
import pathlib
import socket
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.cases import main  # noqa: E402
from support.gateway import Gateway, settings  # noqa: E402
from support.modbus_site import Fleet, ModbusSite, beats, read_accepted, wrong_values  # noqa: E402
from support.simulator import Simulator, wait_until  # noqa: E402

BEAT = 0.5       # seconds
WINDOW = 12.0    # of the measurement
LEAST = 0.9      # of the beats of a healthy device
TIMEOUT = 0.4    # of the gateway for an answer
OLDEST = 5 * TIMEOUT + 1.0  # an answer to the same question, asked before, may be this late
BAUD = 19200


@dataclasses.dataclass
class Fault:
    name: str
    command: str      # for unit 2 of the line
    says: str         # what its message must say; empty: none is due
    ill_reads: bool   # whether unit 2 is read all the same


FAULTS = [
    Fault("dead", "fault {0} 2 silent", "no answer within 400 ms", False),
    Fault("slow", "fault {0} 2 none 1 200", "", True),
    Fault("late", "fault {0} 2 none 2 600", "", True),
    Fault("other_unit", "fault {0} 2 other_unit", "unit 3 answered instead", False),
    Fault("crc", "fault {0} 2 damaged", "checksum wrong", False),
    Fault("half_crc", "fault {0} 2 damaged 2", "", True),
    Fault("garbage", "fault {0} 2 garbage", "", True),
    Fault("echo", "fault {0} 2 echo", "", True),
    Fault("illegal", "forbid {0} 2 5", "exception 2, illegal data address", True),
    Fault("exception1", "fault {0} 2 exception 1 0 1", "exception 1, illegal function", False),
    Fault("exception2", "fault {0} 2 exception 1 0 2", "exception 2, illegal data address", False),
    Fault("exception3", "fault {0} 2 exception 1 0 3", "exception 3, illegal data value", False),
    Fault("exception4", "fault {0} 2 exception 1 0 4", "exception 4, device failure", False),
    Fault("exception5", "fault {0} 2 exception 1 0 5", "exception 5, ", False),
    Fault("exception6", "fault {0} 2 exception 1 0 6", "exception 6, device busy", False),
    Fault("exception10", "fault {0} 2 exception 1 0 10", "exception 10, gateway path unavailable", False),
    Fault("exception11", "fault {0} 2 exception 1 0 11", "exception 11, gateway target did not respond", False),
]


class Bus(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="things-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.site = ModbusSite()
        self.addCleanup(self.site.__exit__)
        self.fleet = Fleet(self.folder)

    def add_line(self, name):
        port = self.site.line(name, BAUD, [1, 2, 3])
        self.fleet.source(name, f"port: {port}, baud: {BAUD}, timeout: {TIMEOUT * 1000:.0f}ms")
        return [self.fleet.device(name, unit) for unit in (1, 2, 3)]

    def add_tcp(self, name, clients=100):
        port = self.site.tcp(name, [1], clients=clients)
        self.fleet.source(name, f"host: 127.0.0.1, tcp_port: {port}, timeout: {TIMEOUT * 1000:.0f}ms")
        return port, self.fleet.device(name, 1)

    def start(self):
        self.platform = Simulator(self.folder, self.fleet.platform_devices)
        self.addCleanup(self.platform.stop)
        self.gateway = Gateway(self.folder, settings(self.folder, self.platform) + self.fleet.yaml())
        self.addCleanup(self.gateway.__exit__)

    def wait_for_all(self, devices):
        wait_until(lambda: set(devices) <= {d for d, *_ in read_accepted(self.platform)}, "every device was read", 30)

    def measured(self, begin, devices, ill=()):
        """Of the beats from then on, the part that each device kept. Waits until all but the ill ones have uploaded what
        lies behind the window: on a busy machine a beat may be kept and its upload be late."""
        end = begin + WINDOW
        time.sleep(max(0.0, end - time.time()))
        healthy = set(devices) - set(ill)
        wait_until(lambda: healthy <= {d for d, _, t, _ in read_accepted(self.platform) if t > end},
                   "every healthy device was read after the window", 30)
        accepted = read_accepted(self.platform)
        self.assertEqual(wrong_values(accepted, self.fleet.units, OLDEST), [])
        return {device: beats(accepted, device, begin, begin + WINDOW) * BEAT / WINDOW for device in devices}

    def test_each_fault_of_one_unit_on_a_line_leaves_the_others_their_beat(self):
        lines = {fault.name: self.add_line(fault.name) for fault in FAULTS}
        lines["noise"] = self.add_line("noise")
        self.start()
        self.wait_for_all(sum(lines.values(), []))
        for fault in FAULTS:
            self.site.ask(fault.command.format(fault.name))
        stop = threading.Event()
        chatter = threading.Thread(target=self.chatter, args=(stop,))
        chatter.start()
        kept = self.measured(time.time(), sum(lines.values(), []), [ill for _, ill, _ in lines.values()])
        stop.set()
        chatter.join()
        log = self.gateway.log()
        for name, (first, ill, last) in lines.items():
            print(f"{name:12} healthy {kept[first]:.2f} {kept[last]:.2f}  ill {kept[ill]:.2f}")
        for name, (first, ill, last) in lines.items():
            with self.subTest(name):
                self.assertGreaterEqual(min(kept[first], kept[last]), LEAST)
        for fault in FAULTS:
            with self.subTest(fault.name):
                self.assertEqual(kept[lines[fault.name][1]] > 0.2, fault.ill_reads)
                if fault.says:
                    told = [line for line in log.splitlines() if f"{fault.name}-2" in line and fault.says in line]
                    self.assertTrue(0 < len(told) <= 12, told)
        # Noise and a late answer begin when they like: a request that is on its way by then crosses them, and nobody could know.
        too_soon = {name: int(self.site.ask(f"counts {name}").split()[-1]) for name in lines if name not in ("noise", "late")}
        self.assertEqual({name: count for name, count in too_soon.items() if count}, {})

    def chatter(self, stop):
        while not stop.wait(0.25):
            self.site.ask("noise noise 0103085AFF00C3")

    def test_an_adapter_that_is_pulled_out_and_put_back_is_read_within_two_seconds(self):
        here, pulled = self.add_line("here"), self.add_line("pulled")
        self.start()
        self.wait_for_all(here + pulled)
        begin = time.time()
        for _ in range(3):
            self.site.ask("pull pulled")
            time.sleep(1.5)  # gone for a while
            self.site.ask("return pulled")
            back = time.time()
            wait_until(lambda: any(d in pulled and t > back for d, _, t, _ in read_accepted(self.platform)),
                       "it is read again")
            first = min(t for d, _, t, _ in read_accepted(self.platform) if d in pulled and t > back)
            print(f"read again {first - back:.2f} s after it was put back")
            self.assertLess(first - back, 2)
        kept = self.measured(begin, here)
        self.assertGreaterEqual(min(kept.values()), LEAST)
        self.assertIn("does not exist. Is the adapter plugged in?", self.gateway.log())

    def test_tcp_hosts_that_fail_hurt_only_themselves(self):
        _, healthy = self.add_tcp("healthy")
        _, half_open = self.add_tcp("half_open")
        _, restarted = self.add_tcp("restarted")
        busy_port, busy = self.add_tcp("busy", clients=1)
        _, mute = self.add_tcp("mute")
        self.site.ask("mute mute 1")
        intruder = socket.create_connection(("127.0.0.1", busy_port))
        self.start()
        self.wait_for_all([healthy, half_open, restarted])
        begin = time.time()
        self.site.ask("mute half_open 1")  # swallows everything from now on, as a connection without the other end
        self.site.ask("stop restarted")
        time.sleep(1.0)
        self.site.ask("start restarted")
        back = time.time()
        intruder.close()
        time.sleep(2.0)
        self.site.ask("mute half_open 0")
        unmuted = time.time()
        kept = self.measured(begin, [healthy, mute], [mute])
        accepted = read_accepted(self.platform)
        waited = {name: min((t for d, _, t, _ in accepted if d == device and t > since), default=float("inf")) - since
                  for name, device, since in (("restarted", restarted, back), ("one client only", busy, back),
                                              ("half-open", half_open, unmuted))}
        print(f"healthy {kept[healthy]:.2f}; read again after " + ", ".join(f"{n} {t:.2f} s" for n, t in waited.items()))
        self.assertGreaterEqual(kept[healthy], LEAST)
        self.assertEqual(kept[mute], 0)
        for name, seconds in waited.items():
            with self.subTest(name):
                self.assertLess(seconds, 5)
        self.assertRegex(self.gateway.log(), "mute, mute-1: .*no answer within")


if __name__ == "__main__":
    main()
