# SPDX-License-Identifier: Apache-2.0
"""Plugins in the real daemon: what a process of its own is kept from, programs of the plugin exec, the conformance tool on
every shipped plugin, and plugins that were built elsewhere from what is installed."""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

from scenario import BOILER, CHILLER, Scenario, main
from support.gateway import PLUGINS, PROGRAM, Gateway, within_reach
from support.line import SerialLine
from support.simulator import BUILD

ROOT = pathlib.Path(__file__).parents[2]
BAD_PLUGINS = BUILD / "tests/bad_plugins"
DEVICE = "devices:\n  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, interval: 200ms, points: [POINTS]}\n"


def refuse_landlock():
    """As a service's SystemCallFilter does that does not name it: all of its calls end with EPERM."""
    code, errno_eperm = [], 0x00050001

    def add(operation, then, otherwise, value):
        code.append(struct.pack("HBBI", operation, then, otherwise, value))
    add(0x20, 0, 0, 0)               # load the number of the call
    add(0x35, 0, 1, 444)             # below 444: allow
    add(0x25, 0, 1, 446)             # 444 to 446 are Landlock's
    add(0x06, 0, 0, 0x7FFF0000)
    add(0x06, 0, 0, errno_eperm)
    program = ctypes.create_string_buffer(b"".join(code))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(program)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter_):
        raise OSError(ctypes.get_errno(), "prctl")


def landlock_version():
    return ctypes.CDLL(None).syscall(444, 0, 0, 1)


class Plugins(Scenario):
    def begin(self, sources, points, plugins=(PLUGINS,), wrapper=(), build=BUILD, **more):
        text = "sources:\n" + sources + DEVICE.replace("POINTS", points)
        self.gateway = Gateway(self.folder, self.yaml(text, things="downlink_poll: 500ms"), start=False, wrapper=wrapper,
                               plugins=plugins, build=build)
        self.addCleanup(self.gateway.__exit__)
        return self.gateway.start(**more)

    def newest(self, name):
        reading = self.platform.newest(device=BOILER, name=name)
        return reading and reading["value"]

    def wait_for_all(self, *names):
        self.wait(lambda: all(self.newest(name) is not None for name in names), f"{', '.join(names)} have arrived")


class Confinement(Plugins):
    # With an @, so that the settings do not name the path: what they name a plugin may open.
    REACH = {"control": "@FOLDER/control.sock", "secret": "@FOLDER/boiler", "settings": "@FOLDER/gateway.yaml",
             "queue": "@FOLDER/queue.db", "folder": "@FOLDER", "memory": "memory", "environment": "environment",
             "descriptors": "descriptors", "limits": "limits", "signal": "signal"}

    def snoop(self, isolation, **more):
        """1 for each that the plugin could reach."""
        points = ", ".join(f"{{name: {name}, source: spy, reach: {json.dumps(what.replace('FOLDER', str(self.folder)))}}}"
                           for name, what in self.REACH.items())
        self.begin(f"  spy: {{plugin: snoops{isolation}}}\n", points, (PLUGINS, BAD_PLUGINS), **more)
        self.wait_for_all(*self.REACH)
        return {name: self.newest(name) for name in self.REACH}

    def test_a_plugin_in_a_process_of_its_own_reaches_neither_control_socket_nor_secrets_nor_queue(self):
        if landlock_version() < 1:
            self.skipTest("this kernel has no Landlock")
        self.assertEqual(self.snoop(""), dict.fromkeys(self.REACH, 0))
        self.assertNotIn("SystemCallFilter", self.gateway.log())

    def test_in_the_gateways_own_process_it_would(self):
        reached = self.snoop(", isolation: none")
        self.assertEqual({name for name, value in reached.items() if not value} - {"memory"}, set())

    def test_code_of_others_without_a_wall_is_named_with_what_it_reaches(self):
        cat = "plugin: exec, command: [/bin/cat]"
        sources = f"  spy: {{plugin: snoops, isolation: none}}\n  open: {{{cat}, isolation: none}}\n  shut: {{{cat}}}\n" \
                  "  ours: {plugin: simulated}\n"
        self.begin(sources, ", ".join(f"{{name: {name}, source: {name}}}" for name in ("open", "shut", "ours"))
                   + ", {name: spy, source: spy, reach: environment}", (PLUGINS, BAD_PLUGINS))
        reach = {"spy": "isolation: none: plugin snoops reaches whatever the gateway reaches: it can read every secret",
                 "open": "isolation: none: its program reaches whatever the gateway reaches: it can read every secret"}
        status = {source["name"]: source for source in json.loads(self.gateway.run("status", "--json").stdout)["sources"]}
        self.assertEqual({name: source["isolation"] for name, source in status.items()},
                         {"spy": "none", "open": "none", "shut": "process", "ours": "none"})
        self.assertEqual([name for name, source in status.items() if source["reach"]], ["spy", "open"])
        for name, words in reach.items():
            self.assertIn(words, status[name]["reach"])
            self.assertIn(words, self.gateway.run("status").stdout)
        checked = self.gateway.run("check")
        lines = [line for line in checked.stderr.splitlines() if "isolation: none" in line]
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertEqual([(words in line, "warning" in line) for words, line in zip(reach.values(), lines)], [(True, True)] * 2, lines)

    def test_a_wall_that_is_missing_is_told_and_the_others_stand(self):
        subprocess_start = subprocess.Popen
        try:
            subprocess.Popen = lambda *a, **k: subprocess_start(*a, preexec_fn=refuse_landlock, **k)
            reached = self.snoop("")
        finally:
            subprocess.Popen = subprocess_start
        self.assertEqual(reached["control"], 0)
        self.assertEqual(reached["secret"], 1)
        self.assertRegex(self.gateway.log(), "spy: .*every file that the gateway can.*SystemCallFilter")
        self.assertEqual(self.gateway.log().count("this kernel offers no Landlock"), 1)


class Programs(Plugins):
    """The plugin exec. The program says its own process and that of a child that ignores SIGTERM."""
    SCRIPT = r"""
import json, os, subprocess, sys
child = subprocess.Popen(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
print("the probe is cold", file=sys.stderr, flush=True)
level = 5
print(json.dumps({"values": {"parent": os.getpid(), "child": child.pid, "user": os.geteuid()}}), flush=True)
for text in sys.stdin:
    line = json.loads(text)
    if "write" in line:
        level = min(line["value"], 20)
        print(json.dumps({"done": line["write"], "value": level}), flush=True)
        print(json.dumps({"point": "level", "value": level}), flush=True)
"""
    POINTS = "{name: parent, source: well}, {name: child, source: well}, {name: user, source: well}, " \
             "{name: level, source: well, writable: {min: 0, max: 30}}"

    def begin_program(self, isolation="", python="/usr/bin/python3", environment="", **more):
        # As an argument: what lies in the test's folder an isolated program does not see.
        command = json.dumps([str(python), "-c", self.SCRIPT])
        self.begin(f"  well: {{plugin: exec, command: {command}{environment}{isolation}}}\n", self.POINTS, **more)
        self.wait_for_all("parent", "child", "user")
        self.addCleanup(self.end_child)

    def end_child(self):
        """Without a service manager nobody else ends what the program of a killed gateway had started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self.newest("child")), 9)

    def is_alive(self, name):
        stat = pathlib.Path(f"/proc/{int(self.newest(name))}/stat")
        try:
            return stat.read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def carry_out(self, isolation):
        self.begin_program(isolation)
        self.platform.downlink(BOILER, [{"n": "level", "v": 25}])
        self.wait_for("level", 20)
        self.assertIn("the probe is cold", self.gateway.log())
        self.assertTrue(self.is_alive("parent") and self.is_alive("child"))
        code, took = self.gateway.stop()
        self.assertEqual(code, 0)
        self.assertLess(took, 5)
        self.assertFalse(self.is_alive("parent"))
        self.assertFalse(self.is_alive("child"))

    def test_a_command_reaches_the_program_and_a_stop_ends_it_with_its_children(self):
        self.carry_out("")

    def test_a_command_reaches_the_program_also_from_a_process_of_its_own(self):
        self.carry_out(", isolation: process")

    def test_the_program_ends_with_a_gateway_that_was_killed(self):
        self.begin_program()
        self.gateway.kill()
        self.wait(lambda: not self.is_alive("parent"), "the program has ended")

    def test_a_program_never_becomes_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to make a program that would become root")
        build = within_reach()
        self.addCleanup(build.cleanup)
        python = pathlib.Path(build.name) / "python-of-root"
        shutil.copy(os.path.realpath("/usr/bin/python3"), python)
        python.chmod(0o4755)
        run = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*run, python, "-c", "import os; print(os.geteuid())"], capture_output=True, text=True,
                          env={"PYTHONHOME": "/usr"}).stdout != "0\n":
            self.skipTest(f"no program in {python.parent} becomes root, whoever runs it")
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, 65534, 65534)
        self.begin_program(python=python, environment=", environment: {PYTHONHOME: /usr}", wrapper=run,
                           plugins=PLUGINS, build=build.name,
                           ready=False)  # nor may that user tell the test, which is root
        self.assertEqual(self.newest("user"), 65534)


class Conformance(Plugins):
    """`things-plugin-test FILE.so [SOURCE]`: nothing but ok."""

    def assert_clean(self, plugin, source=None, file=None, text=""):
        self.gateway = None
        config = self.folder / "gateway.yaml"
        config.write_text(self.yaml(text) if text else "")
        done = subprocess.run([BUILD / "tests/plugin_test/things-plugin-test", file or PLUGINS / f"{plugin}.so", *([source] if source else []),
                               "--config", config, "--plugin-dir", PLUGINS], capture_output=True, text=True, timeout=120)
        bad = [line for line in done.stdout.splitlines() if not line.startswith("ok ")]
        self.assertEqual((done.returncode, bad, done.stderr), (0, [], ""))
        for call in ("create", "poll: all points", "destroy"):
            self.assertIn(f"ok   {call}", done.stdout)
        return done.stdout

    def source(self, settings, points):
        return f"sources:\n  s: {{{settings}}}\n" + DEVICE.replace("interval: 200ms", "interval: 200ms, source: s").replace("POINTS", points)

    def test_plugins_without_a_line(self):
        self.assert_clean("simulated")
        self.assert_clean("sysinfo", "s", text=self.source("plugin: sysinfo", "{name: load1}, {name: uptime}"))
        thermostat = ROOT / "plugins/exec/examples/thermostat.py"
        self.assert_clean("exec", "s", text=self.source(f"plugin: exec, mode: asked, command: [{sys.executable}, {thermostat}]",
                                                        "{name: setpoint, writable: true}, {name: temperature}"))
        self.assert_clean("exec", "s", text=self.source("plugin: exec, command: [/bin/true]", "{name: a, writable: true}"))

    def test_modbus(self):
        self.plc.set_float(200, 21.5)
        out = self.assert_clean("modbus", "s", text=self.source(
            "plugin: modbus, host: 127.0.0.1, tcp_port: PLC", "{name: a, holding: 200, type: float32, writable: true}, {name: b, coil: 3}"))
        self.assertIn("poll: all points: 2 readings", out)
        self.assert_clean("modbus", "s", text=self.source("plugin: modbus, host: 127.0.0.1, tcp_port: 1, timeout: 200ms",
                                                          "{name: a, holding: 200, writable: true}"))

    def test_serial_and_p1(self):
        with SerialLine() as line:
            serial = self.source(f"plugin: serial, port: {line.path}, timeout: 100ms, retries: 0",
                                 r"{name: a, match: '^A(\d)'}, {name: b, match: '^B(\d)', request: 'B?\r', writable: true, "
                                 r"write: 'B{value:d}\r', expect: OK}")
            self.assert_clean("serial", "s", text=serial)
            self.assert_clean("serial", "s", text=serial.replace(line.path, "/nonexistent/ttyUSB0"))
            meter = self.source(f"plugin: p1, port: {line.path}", "{name: power, unit: W, value: power}")
            self.assert_clean("p1", "s", text=meter)
            self.assert_clean("p1", "s", text=meter.replace(line.path, "/nonexistent/ttyUSB0"))
            self.assert_clean("p1", "s", text=meter.replace("plugin: p1", "plugin: p1, mode: mode_c, timeout: 500ms"))


class Elsewhere(Plugins):
    """Plugins of others, made from what is installed and nothing else, as plugins/README.md says it."""

    def run_all(self, *command, **environment):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200,
                              cwd=self.folder / "hello", env={**os.environ, **environment})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_one_in_c_and_one_in_python_give_readings_and_take_commands(self):
        installed, root = self.folder / "installed", self.folder / "root"
        (self.folder / "hello").mkdir()
        self.run_all("cmake", "--install", BUILD, "--prefix", installed)
        documents = installed / "share/doc/kpn-things-gateway/plugins"
        blocks = re.findall(r"```(\w+)\n(.*?)```", (documents / "README.md").read_text(), re.DOTALL)
        code, commands, yaml = (next(text for kind, text in blocks if kind == wanted) for wanted in ("c", "sh", "yaml"))
        (self.folder / "hello/hello.c").write_text(code)
        shutil.copy(documents / "CMakeLists.txt", self.folder / "hello")
        out = self.run_all("bash", "-ec", f"sudo() {{ DESTDIR={root} \"$@\"; }}\n{commands}", CMAKE_PREFIX_PATH=str(installed),
                           PATH=f"{installed}/bin:{os.environ['PATH']}")
        self.assertIn("ok   poll: all points: 1 readings", out)
        self.assertNotIn("FAIL", out)
        plugins = (next(installed.glob("**/kpn-things-gateway/plugins/modbus.so")).parent,
                   root / "usr/local/lib/kpn-things-gateway/plugins")
        yaml = yaml.replace("dvnuuid: ..., secret: ...", "dvnuuid: CHILLER, secret: {file: chiller}").replace("interval: 5s", "interval: 200ms")
        yaml = yaml.replace("sources:\n", f"sources:\n  room: {{plugin: exec, mode: asked, command: [{documents}/exec/thermostat.py], isolation: none}}\n")
        yaml += "  - {name: room, dvnuuid: BOILER, secret: {file: boiler}, source: room, interval: 200ms, points: [\n" \
                "     {name: temperature, unit: Cel}, {name: setpoint, unit: Cel, writable: {min: 5, max: 30}}]}\n"
        self.gateway = Gateway(self.folder, self.yaml("\n" + yaml), start=False, plugins=plugins)
        self.addCleanup(self.gateway.__exit__)
        command = self.gateway.command
        self.gateway.command = lambda *words: [installed / "bin/kpn-things-gateway", *command(*words)[1:]]
        self.gateway.start()
        self.wait(lambda: len(self.counters(CHILLER, "count")) > 5, "the plugin in C is read")
        self.platform.downlink(BOILER, [{"n": "setpoint", "v": 18.3}])
        self.wait_for("setpoint", 18.5)
        self.wait_for_all("temperature")
        listed = json.loads(self.gateway.run("plugins", "list", "--json").stdout)
        self.assertEqual([p["shipped"] for p in listed if p["name"] == "hello"], [False])


if __name__ == "__main__":
    main()
