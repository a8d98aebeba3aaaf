# SPDX-License-Identifier: Apache-2.0
"""A configuration that is refused: at a start the one last accepted is used, at a reload the running one goes on; both
with an alarm until it is mended, and the daemon can be asked all the while."""

import json
import re
import stat
import urllib.error
import urllib.request

from scenario import BOILER, SECRETS, Scenario, main

PUMPING = """
include: [devices.d/*.yaml]
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
"""
DEVICE = """
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: ../boiler}, source: plc, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
""".replace("BOILER", BOILER)


class LastGood(Scenario):
    def setUp(self):
        super().setUp()
        self.plc.count_at(0)
        self.state = self.folder / "state"
        self.state.mkdir()
        (self.folder / "devices.d").mkdir()
        self.device = self.folder / "devices.d/boiler.yaml"
        self.device.write_text(DEVICE)

    def first_run(self, options=("--last-good",)):
        self.start(PUMPING)
        self.gateway.kill()
        self.gateway.environment["STATE_DIRECTORY"] = str(self.state)
        self.gateway.run_options = list(options)
        self.gateway.start()
        self.wait_for_counter(1)
        if options:
            self.wait(lambda: any(self.state.glob("*.yaml")), "a copy is kept")

    def metric(self, name):
        port = self.gateway.config.read_text().split('listen: "127.0.0.1:')[1].split('"')[0]
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        return [line.split()[-1] for line in text.splitlines() if line.startswith(f"things_gateway_{name} ")][0]

    def alarms(self):
        return [a for a in json.loads(self.gateway.run("status", "--json").stdout)["alarms"] if a["urgent"]]

    def counts_on(self):
        self.wait_for_counter((self.counters() or [0])[-1] + 5)

    def test_the_copy_is_private_whole_and_without_secrets(self):
        self.first_run()
        self.assertEqual([f.name.endswith("gateway.yaml.yaml") for f in self.state.iterdir()], [True])
        copy = next(self.state.iterdir())
        self.assertEqual(stat.S_IMODE(copy.stat().st_mode), 0o600)
        self.assertIn("counter", copy.read_text())
        self.assertIn(f"{{file: {self.folder}/boiler}}", copy.read_text())
        self.assertNotIn(SECRETS[BOILER], copy.read_text())
        before = copy.stat()
        self.gateway.stop()
        self.gateway.start()
        self.counts_on()
        self.assertEqual(copy.stat().st_mtime_ns, before.st_mtime_ns, "what did not change costs no flash")

    def test_a_page_whose_password_stood_in_the_file_is_not_served_under_another_word(self):
        self.first_run()
        good = self.gateway.config.read_text()
        self.gateway.config.write_text(re.sub(r'(web: \{listen: "[^"]*")', r'\1, password: "correct horse"', good))
        self.gateway.config.chmod(0o600)
        self.gateway.kill()
        self.gateway.start()
        self.wait(lambda: "MASKED" in next(self.state.glob("*.yaml")).read_text().split("web:")[1].split("\n")[0], "the copy is new")
        with self.assertRaises(urllib.error.HTTPError):
            self.metric("config_ok")
        self.gateway.kill()
        self.gateway.config.write_text(self.gateway.config.read_text() + "oops: 1\n")
        self.gateway.start()
        self.counts_on()
        self.assertIn("the page, whose password stood in the file itself, is not served until then", self.alarms()[0]["text"])
        with self.assertRaises(urllib.error.URLError):
            self.metric("config_ok")

    def test_whatever_a_power_cut_makes_of_a_file_the_gateway_starts_and_says_so_until_it_is_mended(self):
        self.first_run()
        good = {file: file.read_bytes() for file in (self.gateway.config, self.device)}
        for file, damage in ((self.gateway.config, b""), (self.gateway.config, b"\0" * 300), (self.device, b""),
                             (self.device, b"\0" * 300), (self.device, good[self.device][:60]), (self.device, None)):
            with self.subTest(file=file.name, damage=damage):
                self.gateway.kill()
                if damage is None:
                    self.gateway.config.write_bytes(good[self.gateway.config] + b"oops: 1\n")
                else:
                    file.write_bytes(damage)
                self.gateway.start()
                self.counts_on()
                text = next(a["text"] for a in self.alarms_with(good) if "configuration on disk" in a["text"])
                self.assertIn("would not start: ", text)
                for path, content in good.items():
                    path.write_bytes(content)
                self.assertEqual(self.metric("config_ok"), "0")
                self.gateway.reload()
                self.wait(lambda: self.alarms() == [], "the alarm ends")
                self.assertEqual(self.metric("config_ok"), "1")

    def alarms_with(self, good):
        """The socket's name stands in the main file, which may be gone."""
        config, self.gateway.config = self.gateway.config, self.folder / "right.yaml"
        self.gateway.config.write_bytes(good[config])
        try:
            return self.alarms()
        finally:
            self.gateway.config = config

    def test_a_first_start_has_nothing_to_fall_back_on(self):
        self.first_run(options=())
        self.gateway.stop()
        self.gateway.run_options = ["--last-good"]
        text = self.gateway.config.read_text()
        self.gateway.config.write_text(text + "oops: 1\n")
        self.gateway.start(ready=False)
        self.assertEqual(self.gateway.wait_for_end(), 78)
        self.assertEqual(list(self.state.iterdir()), [])

    def test_without_a_copy_a_damaged_file_costs_its_own_devices(self):
        self.first_run(options=())
        self.gateway.stop()
        other = self.folder / "devices.d/other.yaml"
        other.write_bytes(b"\0" * 4096)
        self.assertEqual(self.gateway.run("check").returncode, 78)
        self.gateway.run_options = ["--last-good"]
        self.gateway.start()
        self.counts_on()
        self.assertIn("other.yaml holds nothing but NUL bytes", self.alarms()[0]["text"])

    def test_a_refused_reload_is_an_alarm_and_blinds_nobody(self):
        self.first_run(options=())
        text = self.gateway.config.read_text()
        self.gateway.config.write_text(text.replace("modbus", "modbuss"))
        self.gateway.reload()
        self.wait(self.alarms, "there is an alarm")
        self.assertIn("gateway.yaml:", self.alarms()[0]["text"])
        self.assertIn("there is no plugin \"modbuss\"", self.alarms()[0]["text"])
        self.assertEqual(self.metric("config_ok"), "0")
        self.assertEqual(self.gateway.run("read", "boiler").returncode, 0)
        self.assertEqual(self.gateway.run("queue", "list").returncode, 0)
        self.assertEqual(self.gateway.run("status").returncode, 0)
        self.assertEqual(self.gateway.run("check").returncode, 78)
        self.gateway.config.write_text(text)
        self.gateway.reload()
        self.wait(lambda: self.alarms() == [], "the alarm ends")
        self.assertEqual(self.metric("config_ok"), "1")

    def test_a_reload_renews_the_copy(self):
        self.first_run()
        self.device.write_text(DEVICE.replace("100ms", "200ms"))
        self.gateway.reload()
        self.wait(lambda: "interval: 200ms" in next(self.state.glob("*.yaml")).read_text(), "the copy is the new one")


if __name__ == "__main__":
    main()
