# SPDX-License-Identifier: Apache-2.0
"""Every bad plugin of tests/bad_plugins beside good sources in the real daemon: in processes of their own, in the daemon
where that can be survived, and those that cannot even be loaded at a reload.

The oracle lies outside: a Modbus device that notes when it is read is the other sources' beat and gives every read a value
of its own; each must be at the platform in the end. What became of a bad plugin is what `status` says of its source."""

import json
import os
import pathlib
import re
import signal
import tempfile
import time
import urllib.request

from campaigns.outcome import Outcome
from support.gateway import PLUGINS, Gateway, free_port, settings
from support.modbus_server import ModbusServer
from support.simulator import BUILD, Simulator, wait_until

ROWS = "22"
TRIALS = {"ci": 1, "hand": 20}  # rounds; a trial is one plugin in one round
BUG = "a plugin that crashes, taken out of its process (isolation: none)"
BAD_PLUGINS = BUILD / "tests/bad_plugins"
BEAT = 0.5  # seconds between two reads of the good source
LATE = 2 * BEAT  # what no bad plugin may cost it
HANG_SEEN = 10.0
GOOD = {"dvnuuid": "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40", "secret": "abcdefghijklmnopqrstuvwxyzABCD", "name": "good"}
BAD = {"dvnuuid": "0d3a5f3e-8c1b-4f60-9a77-5e2b6c9d1e02", "secret": "ZYXWVUTSRQPONMLKJIHGFEDCBA0123456789", "name": "bad"}

# What must become of each. quarantine: ended by itself again and again; died: that takes it a while; ended: had to be;
# lives: goes on, its fault is refused; hanging: is told to hang.
CRASHES = {"segfaults": "quarantine", "aborts": "quarantine", "overflows_stack": "quarantine", "exits": "quarantine",
           "closes_descriptors": "quarantine", "leaks_descriptors": "quarantine", "leaks": "died"}
HANGS = {"hangs": "ended", "sleeps": "ended", "deadlocks": "ended", "stops_itself": "ended"}
LIVES = {"throws": "lives", "garbage": "lives", "writes_stdout": "lives", "spawns_threads": "lives", "slow_return": "lives",
         "older_minor": "lives"}
ISOLATED = {**CRASHES, **HANGS, **LIVES, "floods": "ended", "snoops": "lives"}
# Here the thread is left to its hang, and a flood is thinned out.
IN_PROCESS = {**LIVES, "floods": "lives", "hangs": "hanging", "sleeps": "hanging", "deadlocks": "hanging"}
UNLOADABLE = {"no_entry": "no_entry", "wrong_major": "wrong_major", "null_table": "null_table", "short_table": "short_table",
              "wrong_name": "wrong_name", "missing_symbol": "missing_symbol", "crashes_on_load": "crashes_on_load",
              "create_fails": "is not what I wanted"}  # and a word of the refusal
# Where else it may go wrong than in poll, one source each. The last one holds up each start and reload for eight seconds, so
# the first round is without it.
ELSEWHERE = (("segfaults", "create"), ("sleeps", "destroy"), ("sleeps", "create"))


def run(trials, seed, say):
    del seed  # nothing here is random but the machine
    with Site() as site:
        for number in range(trials):
            site.play_isolated(ELSEWHERE if number else ELSEWHERE[:2])
            site.play_in_process()
            say(f"round {number + 1}: {site.trials} trials, latest beat {site.latest * 1000:.0f} ms, {len(site.failures)} failures")
        return site.outcome()


def bite(seed, say):
    del seed, say
    with Site() as site:
        site.play({"segfaults": "quarantine"}, "none", (), seconds=5)
        return site.outcome()


class Site:
    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="things-plugins-")
        self.trials, self.failures, self.latest, self.slowest_hang, self.longest_stop = 0, [], 0.0, 0.0, 0.0
        self.quarantined = 0
        self.round = 0
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def outcome(self):
        figure = (f"latest beat of the good source {self.latest * 1000:.0f} ms behind its {BEAT * 1000:.0f}, hangs seen within "
                  f"{self.slowest_hang:.1f} s, {self.quarantined} in quarantine, slowest stop {self.longest_stop:.1f} s")
        return Outcome(self.trials, figure, self.failures)

    def play_isolated(self, elsewhere):
        """All at once, each in a process of its own."""
        self.play(ISOLATED, None, elsewhere, seconds=13)

    def play_in_process(self):
        self.play(IN_PROCESS, "none", (), seconds=11)

    def fail(self, text):
        self.failures.append(f"round {self.round}: {text}")

    def play(self, plugins, isolation, elsewhere, seconds):
        self.round += 1
        folder = pathlib.Path(self.temporary.name) / str(self.round)
        folder.mkdir()
        for device in (GOOD, BAD):
            (folder / device["name"]).write_text(device["secret"])
            (folder / device["name"]).chmod(0o600)
        with ModbusServer() as plc, Simulator(folder, [GOOD, BAD]) as platform:
            plc.count_at(0)
            web_port = free_port()
            yaml = configuration(folder, platform, plc, web_port, plugins, isolation, elsewhere)
            with Gateway(folder, yaml, start=False, plugins=(PLUGINS, BAD_PLUGINS)) as gateway:
                gateway.web_port = web_port
                gateway.start(seconds=60)
                begin = time.monotonic()
                try:
                    if not isolation:
                        self.freeze(gateway)
                    self.watch(gateway, plugins, isolation, seconds)
                    if not isolation:
                        self.reload_what_cannot_be_loaded(gateway, yaml)
                    end = time.monotonic()
                    self.judge(gateway, plugins, isolation, elsewhere)
                    code, took = gateway.stop()
                    self.longest_stop = max(self.longest_stop, took)
                    if code != 0 or took > 5:
                        self.fail(f"stop took {took:.1f} s and ended with {code}")
                except (AssertionError, OSError, KeyError, ValueError) as error:
                    end = time.monotonic()
                    self.fail(f"the gateway is gone: {gateway.process.poll()}" if gateway.process.poll() is not None else repr(error))
                self.judge_beat(plc, platform, begin, end)
        self.trials += len(plugins) + len(elsewhere) + (isolation is None)

    def watch(self, gateway, plugins, isolation, seconds):
        """Notes when each hang is first told, until the time is over."""
        begin, seen = time.monotonic(), {}
        hanging = [name for name, fate in plugins.items() if fate in ("ended", "hanging") and name != "floods"]
        hanging += [] if isolation else ["frozen"]
        while time.monotonic() < begin + seconds:
            for name, source in sources(gateway).items():
                if name in hanging and name not in seen and (source["restarts"] or "hanging" in source["state"]):
                    seen[name] = time.monotonic() - begin
            time.sleep(0.2)
        for name in hanging:
            if seen.get(name, 1e9) > HANG_SEEN:
                self.fail(f"{name} ({isolation or 'process'}) hangs and was not seen within {HANG_SEEN} s ({seen.get(name)})")
        self.slowest_hang = max([self.slowest_hang, *seen.values()])

    def freeze(self, gateway):
        """Stops (SIGSTOP) the process of a plugin that did nothing wrong."""
        def hosts():
            return [pid for pid in children(gateway.process.pid) if b"simulated.so" in content(f"/proc/{pid}/cmdline")]
        wait_until(lambda: len(hosts()) == 1, "the plugin simulated has a process of its own", 10)
        # Not while it starts: what is to be seen is a call that does not come back.
        wait_until(lambda: sources(gateway)["frozen"]["readings"] > 0, "it is read", 10)
        os.kill(hosts()[0], signal.SIGSTOP)

    def reload_what_cannot_be_loaded(self, gateway, yaml):
        """Refused in plain words, while the old configuration goes on."""
        for plugin, word in UNLOADABLE.items():
            before = len(gateway.log())
            new = yaml.replace("sources:\n", f"sources:\n  new: {{plugin: {plugin}}}\n", 1)
            gateway.config.write_text(new.replace("points: [\n", "points: [\n     {name: new, source: new},\n"))
            gateway.reload()
            wait_until(lambda: "reload refused" in gateway.log()[before:], f"{plugin}: the reload is refused", 40, 0.1)
            if word not in gateway.log()[before:]:
                self.fail(f"the refusal of {plugin} does not say {word}")
            self.trials += 1
        gateway.config.write_text(yaml)

    def judge(self, gateway, plugins, isolation, elsewhere):
        """Each has the fate that it must have, in its own process or in the gateway's."""
        log = gateway.log()
        now = sources(gateway)
        hosts = len(children(gateway.process.pid))
        if isolation and hosts:
            self.fail(f"{hosts} processes although none was asked for")
        for name, fate in plugins.items():
            state, restarts = now[name]["state"], now[name]["restarts"]
            # 1 s, 2 s, and then a minute: more than three lives would be no back-off
            in_quarantine = bool(re.search(f" {name}: .*three times within ten minutes", log)) and restarts == 3
            self.quarantined += in_quarantine
            good = {"quarantine": in_quarantine and "is started again in 2 s" in log, "died": restarts >= 1, "ended": restarts >= 1,
                    "lives": state in ("running", "failing") and restarts == 0, "hanging": "hanging since" in state}[fate]
            if not good:
                self.fail(f"{name} ({isolation or 'process'}) should be {fate}, is: {state}, {restarts} restarts")
        if not isolation and (now["frozen"]["state"] != "running" or now["frozen"]["restarts"] != 1):
            self.fail(f"the stopped process was not replaced: {now['frozen']['state']}")
        for name, where in elsewhere:
            if where == "create" and now[f"{name}-{where}"]["restarts"] < 1:
                self.fail(f"{name} in {where} was not noticed")

    def judge_beat(self, plc, platform, begin, end):
        """The good source was read on time all along, and nothing that it read is missing."""
        served = [read.served for read in list(plc.reads) if begin <= read.served <= end]
        gaps = [later - sooner for sooner, later in zip(served, served[1:])] + [end - served[-1] if served else end - begin]
        latest = max(gaps) - BEAT
        self.latest = max(self.latest, latest)
        if latest > LATE:
            self.fail(f"the good source was read {latest:.2f} s late")
        values = {read.value for read in list(plc.reads) if begin <= read.served <= end - 1}

        def missing():
            return values - {int(reading["value"]) for reading in platform.accepted(device=GOOD["dvnuuid"], name="counter")}
        limit = time.monotonic() + 5
        while missing() and time.monotonic() < limit:
            time.sleep(0.1)
        for value in sorted(missing()):
            self.fail(f"value {value} of the good source did not arrive")


def configuration(folder, platform, plc, web_port, plugins, isolation, elsewhere):
    """A good source, one of each bad plugin, and a good plugin in a process of its own."""
    where = f", isolation: {isolation}" if isolation else ""
    # in the daemon's process the tests' plugins are shipped by nobody, so nothing means a process of its own
    bad = [(name, name, "poll") for name in plugins] + [(f"{name}-{place}", name, place) for name, place in elsewhere]
    text = settings(folder, platform, max_age="300ms", web_port=web_port)
    text += f"sources:\n  good: {{plugin: modbus, host: 127.0.0.1, tcp_port: {plc.port}}}\n"
    text += "" if isolation else "  frozen: {plugin: simulated, isolation: process}\n"
    for source, plugin, place in bad:
        text += f"  {source}: {{plugin: {plugin}{where}{'' if plugin == 'snoops' else f', in: {place}'}}}\n"
    text += (f"devices:\n  - {{name: good, dvnuuid: {GOOD['dvnuuid']}, secret: {{file: good}}, source: good, "
             f"interval: {int(BEAT * 1000)}ms, points: [{{name: counter, holding: 0, type: uint32}}]}}\n"
             f"  - {{name: bad, dvnuuid: {BAD['dvnuuid']}, secret: {{file: bad}}, interval: 200ms, points: [\n")
    text += "" if isolation else "     {name: frozen, source: frozen},\n"
    for source, plugin, _ in bad:
        text += f"     {{name: {source}, source: {source}{', reach: /etc/shadow' if plugin == 'snoops' else ''}}},\n"
    return text + "  ]}\n"


def sources(gateway):
    """By name, as the page of the gateway has them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.web_port}/api/v1/status", timeout=10) as answer:
        return {source["name"]: source for source in json.load(answer)["sources"]}


def content(path):
    try:
        return pathlib.Path(path).read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""  # it has ended meanwhile


def children(pid):
    return [int(word) for task in pathlib.Path(f"/proc/{pid}/task").iterdir() for word in content(task / "children").split()]
