# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping, reloading, and what the gateway says about a wrong configuration."""

import json
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import urllib.request

from scenario import BOILER, CHILLER, Scenario, main
from support.gateway import BUILD, PLUGINS, PROGRAM, Gateway, free_port, within_reach

ONE = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
"""


class Stopping(Scenario):
    def setUp(self):
        super().setUp()
        self.plc.count_at(0)

    def test_stop_is_prompt_and_everything_is_stored(self):
        self.start(ONE)
        self.wait_for_counter(5)
        code, seconds = self.gateway.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 5)
        self.assertTrue(self.gateway.heard("STOPPING=1"))
        until = len(self.plc.reads)
        self.gateway.start()
        self.wait_for_counter(until + 1)
        self.assert_nothing_missing(until)

    def test_who_watches_sees_it_go_and_come_back(self):
        self.start(ONE)
        self.wait_for_counter(3)
        told = self.folder / "watch.txt"
        with open(told, "w") as file:
            watch = subprocess.Popen(self.gateway.command("status", "--watch"), stdout=file, stderr=file)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        self.wait(lambda: "platform: " in told.read_text(), "it shows the status")
        self.gateway.stop()
        self.wait(lambda: "the daemon does not run" in told.read_text(), "it tells of the stop")
        seen = told.read_text().count("platform: ")
        self.gateway.start()
        self.wait(lambda: told.read_text().count("platform: ") > seen, "it shows the status again")

    def test_stop_is_prompt_while_the_platform_is_silent_and_the_device_too(self):
        self.start(ONE, max_age="100ms")
        self.wait_for_counter(5)
        self.platform.behave(kind="silent", count=0)
        until = len(self.plc.reads)
        self.wait(lambda: len(self.plc.reads) > until + 5, "polling goes on")
        self.plc.is_silent = True
        code, seconds = self.gateway.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 10)
        until = len(self.plc.reads)
        self.plc.is_silent = False
        self.platform.behave_well()
        self.gateway.start()
        self.wait_for_counter(until + 1)
        self.assert_nothing_missing(until)

    def test_a_reload_needs_no_thread_that_may_not_be_there(self):
        if "asan" in BUILD.name or "tsan" in BUILD.name:
            self.skipTest("sanitizers need address space of their own")
        self.start(ONE)
        self.wait_for_counter(3)
        size = re.search(r"VmSize:\s+(\d+) kB", pathlib.Path(f"/proc/{self.gateway.process.pid}/status").read_text())
        resource.prlimit(self.gateway.process.pid, resource.RLIMIT_AS, (int(size.group(1)) * 1024, -1))
        self.gateway.reload()
        # Its check may need more memory than is left: then it is refused, and the gateway goes on all the same.
        self.wait(lambda: re.search("reloaded: |reload refused", self.gateway.log()), "the reload has ended")
        resource.prlimit(self.gateway.process.pid, resource.RLIMIT_AS, (-1, -1))
        self.wait_for_counter(self.plc.counters[0].get(1, 0) + 5)

    def test_ctrl_c_ends_it_too(self):
        self.start(ONE)
        self.gateway.signal(signal.SIGINT)
        self.assertEqual(self.gateway.wait_for_end(), 0)


class Configuration(Scenario):
    def test_a_wrong_configuration_ends_with_78_and_every_mistake_in_one_run(self):
        yaml = self.yaml(ONE).replace("max_age", "max_aeg") + "  - {name: boiler, dvnuuid: 7, source: nowhere}\n"
        gateway = Gateway(self.folder, yaml, start=False)
        self.addCleanup(gateway.__exit__)
        for command in ("run", "check"):
            done = gateway.run(command)
            self.assertEqual(done.returncode, 78, done.stderr)
            errors = [line for line in done.stderr.splitlines() if "error:" in line]
            self.assertRegex(errors[0], r"^\S*gateway\.yaml:2:\d+: error: .*max_aeg.*max_age")
            self.assertGreaterEqual(len(errors), 3)

    def test_garbage_instead_of_a_configuration_is_an_error_and_no_crash(self):
        gateway = Gateway(self.folder, "", start=False)
        self.addCleanup(gateway.__exit__)
        for content in (b"", b"[]", b"hello", b"\x00\x01\xff\xfe", b"{" * 10000, b"a: &a [*a]", b"things: {url: 3}\n",
                        b"devices: " + b"[" * 100000, b"x" * 5000000, b"things: &x {url: *x}"):
            gateway.config.write_bytes(content)
            done = gateway.run("run", seconds=60)
            self.assertEqual(done.returncode, 78, (content[:20], done.stderr[-500:]))
            self.assertIn("error:", done.stderr)
        gateway.config.unlink()
        self.assertEqual(gateway.run("run").returncode, 78)

    def test_usage_ends_with_64(self):
        gateway = Gateway(self.folder, self.yaml(ONE), start=False)
        self.addCleanup(gateway.__exit__)
        self.assertEqual(gateway.run("nonsense").returncode, 64)
        self.assertEqual(gateway.run("run", "--nonsense").returncode, 64)

    def test_check_says_what_will_happen(self):
        gateway = Gateway(self.folder, self.yaml(ONE), start=False)
        self.addCleanup(gateway.__exit__)
        done = gateway.run("check")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("boiler", done.stdout)
        printed = gateway.run("check", "--print")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        self.assertNotIn("abcdefghijklmnopqrstuvwxyzABCD", printed.stdout + printed.stderr)


class Reloading(Scenario):
    def test_a_new_point_is_read_and_a_wrong_file_changes_nothing(self):
        self.plc.count_at(0)
        self.plc.holding[50] = 42
        self.start(ONE)
        self.wait_for_counter(5)
        good = self.gateway.config.read_text()
        self.gateway.config.write_text(good + "nonsense: true\n")
        self.gateway.reload()
        self.wait(lambda: "nonsense" in self.gateway.log(), "the mistake is logged")
        before = len(self.plc.reads)
        self.wait_for_counter(before + 5)
        self.gateway.config.write_text(good.replace("type: uint32}]", "type: uint32}, {name: extra, holding: 50}]"))
        self.gateway.reload()
        self.wait_for("extra", 42)
        until = len(self.plc.reads)
        self.wait_for_counter(until)
        self.assert_nothing_missing(until)

    def test_a_removed_device_goes_and_the_rest_stays(self):
        """Readings of the removed device are on their way when it goes."""
        both = """
sources:
  fake: {plugin: simulated}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: fake, interval: 10ms,
     points: [{name: temperature, unit: Cel}]}
"""
        more = both + """
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: fake, interval: 10ms,
     points: [{name: temperature, unit: Cel}]}
"""
        self.start(more)
        for round in range(20):
            self.gateway.config.write_text(self.yaml(more if round % 2 else both))
            self.gateway.reload()
            self.wait(lambda: self.gateway.log().count("reloaded: ") > round, "the reload is done")
            before = len(self.platform.accepted(device=BOILER))
            self.wait(lambda: len(self.platform.accepted(device=BOILER)) > before, "the boiler goes on")
        code, _ = self.gateway.stop()
        self.assertEqual(code, 0)


class ForeignPlugins(Scenario):
    def test_a_plugin_from_elsewhere_runs_in_a_process_of_its_own(self):
        foreign = self.folder / "plugins"
        foreign.mkdir()
        shutil.copy(PLUGINS / "simulated.so", foreign)
        shutil.copy(PLUGINS / "modbus.so", foreign)
        listed = subprocess.run([PROGRAM, "plugins", "list", "--plugin-dir", PLUGINS, "--plugin-dir", foreign],
                                capture_output=True, text=True, check=True).stdout
        self.assertNotIn("process of its own", listed)  # the package's own come first
        listed = subprocess.run([PROGRAM, "plugins", "list", "--plugin-dir", foreign], capture_output=True, text=True,
                                check=True).stdout
        self.assertEqual(listed.count("in a process of its own"), 2)
        yaml = self.yaml("""
sources:
  own: {plugin: simulated}
  here: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC, isolation: none}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: own, interval: 100ms, points: [{name: level}]}
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: here, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
""")
        self.gateway = Gateway(self.folder, yaml, start=False)
        self.addCleanup(self.gateway.__exit__)
        self.gateway.plugins = (foreign,)
        self.plc.count_at(0)
        self.gateway.start()
        self.wait(lambda: self.platform.newest(device=BOILER, name="level"), "it is read")
        self.wait_for_counter(3, device=CHILLER)
        hosts = [p for p in pathlib.Path("/proc").glob("[0-9]*/cmdline") if b"plugin-host" in self.content(p)
                 and f"PPid:\t{self.gateway.process.pid}\n".encode() in self.content(p.with_name("status"))]
        self.assertEqual(len(hosts), 1, hosts)

    @staticmethod
    def content(file):
        try:
            return file.read_bytes()
        except OSError:
            return b""  # a process that has ended meanwhile


class CommandLine(Scenario):
    def gateway_at_rest(self, text=ONE, **more):
        self.gateway = Gateway(self.folder, self.yaml(text), start=False, **more)
        self.gateway.log_file.touch()
        self.addCleanup(self.gateway.__exit__)
        return self.gateway

    def test_read_takes_one_reading_of_each_point(self):
        self.plc.holding[1] = 77
        done = self.gateway_at_rest().run("read", "boiler")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"counter\s.*\b77\b")
        self.plc.close()
        self.assertEqual(self.gateway.run("read", "boiler").returncode, 69)

    def test_read_says_what_a_program_printed_in_place_of_a_value(self):
        """Programs as people write them: one that does not flush and gives its field another name, one that breaks."""
        build = within_reach()  # of the user as whom root opens a bus by hand
        self.addCleanup(build.cleanup)
        misnamed = 'import json, time; print(json.dumps(dict(point="levl", value=1))); time.sleep(60)'
        for program, says in ((misnamed, "prints `levl`, but what is wanted is `level`"),
                              ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'")):
            with self.subTest(program):
                text = f"""
sources:
  well: {{plugin: exec, command: [/usr/bin/env, python3, -c, '{program}']}}
devices:
  - {{name: boiler, dvnuuid: BOILER, secret: {{file: boiler}}, source: well, points: [{{name: level}}]}}
"""
                gateway = self.gateway or self.gateway_at_rest(build=build.name)
                gateway.config.write_text(self.yaml(text))
                ended = gateway.run("read", "boiler")
                self.assertEqual(ended.returncode, 69, ended.stderr)
                self.assertIn(says, ended.stderr)

    def test_send_posts_one_pack_and_a_dry_run_none(self):
        gateway = self.gateway_at_rest()
        done = gateway.run("send", "boiler", "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"urn:dev:DVNUUID:{BOILER}:", done.stdout)
        self.assertEqual(self.platform.stats()["requests"], 0)
        done = gateway.run("send", "boiler")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.platform.count(device=BOILER, name="counter"), 1)
        self.platform.behave(kind="down")
        self.assertEqual(gateway.run("send", "boiler").returncode, 69)


class Watching(Scenario):
    def test_a_reload_leaves_the_alarms_of_what_it_does_not_touch(self):
        port = free_port()
        two = ONE.replace("sources:", "sources:\n  plc2: {plugin: modbus, host: 127.0.0.1, tcp_port: 1, timeout: 100ms}").replace(
            "points:", "points: [{name: far, holding: 1, source: plc2}, {name: counter, holding: 0}]} #")
        self.start(two, web_port=port)

        def alarms():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status", timeout=5) as answer:
                return [alarm["key"] for alarm in json.load(answer)["alarms"]]
        self.wait(lambda: "source/plc2" in alarms(), "the alarm of plc2")
        self.gateway.config.write_text(self.yaml(two.replace("{plugin: modbus, host: 127.0.0.1, tcp_port: PLC}",
                                                             "{plugin: modbus, host: 127.0.0.1, tcp_port: PLC, timeout: 900ms}"), web_port=port))
        self.gateway.reload()
        self.wait(lambda: "reloaded" in self.gateway.log(), "the reload")
        self.assertIn("source/plc2", alarms())

    def test_metrics_health_and_status_are_served(self):
        self.plc.count_at(0)
        port = free_port()
        self.start(ONE, web_port=port)
        self.wait_for_counter(5)

        def get(path):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        self.assertEqual(get("/healthz")[0], 200)
        self.assertIn("things_gateway_", get("/metrics")[1])
        self.assertIn("boiler", json.dumps(json.loads(get("/api/v1/status")[1])))
        self.assertIn("<html", get("/")[1].lower())


if __name__ == "__main__":
    main()
