# SPDX-License-Identifier: Apache-2.0
"""An outage is caught up: whatever the platform or the network did, nothing is missing afterwards."""

import json
import os
import pathlib
import struct
import urllib.error
import urllib.request

from scenario import BOILER, CHILLER, SECRETS, Scenario, main
from support.gateway import Gateway, free_port

SHIMS = pathlib.Path(os.environ.get("THINGS_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build")) / "tests"

COUNTING = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
"""


class Outages(Scenario):
    def begin(self, **more):
        self.plc.count_at(0)
        self.start(COUNTING, **more)
        self.wait_for_counter(3)

    def served(self):
        """The newest value the device gave out."""
        return len(self.plc.reads)

    def status(self):
        return json.loads(self.gateway.run("status", "--json").stdout)

    def send(self, code, *options):
        """`send boiler` through the daemon, which answers long before a minute is over."""
        done = self.gateway.run("send", "boiler", *options, seconds=20)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def catch_up(self, seconds=30):
        """Waits until everything served by now has arrived, and nothing in between is missing."""
        until = self.served()
        self.wait(lambda: max(self.counters()) >= until and len(set(self.counters())) >= until,
                  f"counters 1 to {until} have arrived", seconds)
        self.assert_nothing_missing(until)

    def test_a_platform_that_is_away_is_caught_up(self):
        self.begin()
        self.platform.behave(kind="down")
        away = self.served()
        self.wait(lambda: self.served() >= away + 30, "polling goes on during the outage")
        self.platform.behave(kind="up")
        self.catch_up()

    def test_a_backlog_of_a_restarted_gateway_is_caught_up(self):
        self.begin()
        self.platform.behave(kind="down")
        away = self.served()
        self.wait(lambda: self.served() >= away + 20, "polling goes on during the outage")
        code, _ = self.gateway.stop()
        self.assertEqual(code, 0)
        until = self.served()
        self.platform.behave(kind="up")
        self.gateway.start()
        self.wait_for_counter(until + 1)
        self.catch_up()

    def test_errors_of_every_kind_are_survived(self):
        self.begin()
        for behaviour in ({"status": 503, "count": 3}, {"status": 429, "retry_after": "1", "count": 1},
                          {"status": 500, "count": 2}, {"status": 408, "count": 1}, {"kind": "close", "count": 2},
                          {"kind": "reset", "count": 2}, {"kind": "garbage", "count": 2}, {"kind": "truncated", "count": 1},
                          {"kind": "lost", "count": 2}, {"kind": "accept", "body": "[{\"n\":", "count": 2}, {"kind": "accept", "status": 201, "body": "[{\"bn\":\"other:\",\"n\":\"x\",\"v\":1}]", "count": 2},
                          {"kind": "silent", "count": 1}, {"kind": "accept", "delay_ms": 500, "count": 2},
                          {"status": 307, "location": "https://127.0.0.1:1/", "count": 1}):
            self.platform.behave(**behaviour)
        self.wait(lambda: not self.platform.control("GET", "/behaviour")["behaviours"]
                  or all(b["used"] >= b["count"] for b in self.platform.control("GET", "/behaviour")["behaviours"]),
                  "every fault was met", 120)
        self.catch_up(120)

    def test_what_is_not_the_platforms_answer_delivers_nothing(self):
        self.begin()
        page = "<html><head><title>Hotel\u202e Wi-Fi</title></head></html>"
        for status, body, type_, words in ((200, page, "text/html", 'an HTML page, "Hotel Wi-Fi"'), (204, "", "", "204"),
                                           (200, '{"error": "maintenance"}', "application/json", "maintenance"),
                                           (202, page, "", "an HTML page")):
            away = self.served()
            self.platform.behave(kind="status", status=status, body=body, content_type=type_, count=0)
            alarm = self.wait(lambda: next((a for a in self.status()["alarms"] if a["key"] == "uplink/misdirected"
                                            and words in a["text"]), None), f"the alarm tells of {words}")
            self.assertIn("omething in between answers for the platform", alarm["text"])
            self.wait(lambda: self.served() >= away + 20, "polling goes on")
            answer = json.loads(self.send(1, "--json").stdout)
            self.assertFalse(answer["accepted"])
            self.assertIn(words, answer["answer"])
            queue = self.status()["queue"]
            self.assertEqual((queue["dead"], sum(queue["dropped"].values())), (0, 0))
            self.assertFalse(any("parked" in a["key"] for a in self.status()["alarms"]))
            self.platform.behave_well()
            self.send(0)
            self.catch_up()
        self.wait(lambda: not self.status()["alarms"], "the alarm ends")

    def test_when_the_cause_of_an_outage_changes_alarm_journal_and_send_follow(self):
        self.begin()
        self.platform.behave(kind="down")
        self.wait(lambda: any(a["key"] == "uplink" and "no connection" in a["text"] for a in self.status()["alarms"]),
                  "the outage is told", 90)
        self.platform.behave(kind="up")
        self.platform.behave(kind="status", status=200, body="<html><title>Log in</title>", count=0)
        answer = json.loads(self.send(1, "--json").stdout)
        self.assertIn("Log in", answer["answer"])
        self.assertEqual([a["key"] for a in self.status()["alarms"]], ["uplink/misdirected"])
        self.assertIn("Log in", self.gateway.log())
        self.platform.behave_well()
        self.platform.behave(kind="down")
        answer = json.loads(self.send(69, "--json").stdout)
        self.assertIn("no connection", answer["answer"])
        self.wait(lambda: [a["key"] for a in self.status()["alarms"]] == ["uplink"], "the alarm follows")
        self.platform.behave(kind="up")
        self.send(0)
        self.catch_up()

    def test_a_pause_that_the_platform_asks_for_is_told_at_once(self):
        self.begin()
        self.platform.behave(status=503, retry_after="600", count=0)
        self.wait(lambda: not self.status()["uplink"]["healthy"], "the uplink pauses")
        answer = self.send(69)
        self.assertIn("503", answer.stderr)
        self.assertIn("may leave in ", answer.stderr)

    def test_a_clock_that_nobody_synchronises_is_told_and_then_vouched_for_by_the_platform(self):
        self.plc.count_at(0)
        clock = self.folder / "clock"
        clock.write_bytes(struct.pack("qq", 3_600_000, 0))  # an hour fast, not synchronised
        port = free_port()
        self.gateway = Gateway(self.folder, self.yaml(COUNTING, time="require_sync: true", web_port=port), start=False)
        self.addCleanup(self.gateway.__exit__)
        self.gateway.environment = {"LD_PRELOAD": str(SHIMS / "fake_clock.so"), "FAKE_CLOCK": str(clock)}
        self.gateway.start()

        def health():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").read().decode()
            except urllib.error.HTTPError as error:
                return f"{error.code} {error.read().decode()}"

        self.wait(lambda: "3600 s ahead of the platform's" in health(), "the alarm tells how far off it is", 30)
        self.assertTrue(health().startswith("503 Readings are held back: clock not synchronised"), health())
        self.assertIn("held back: clock", self.gateway.run("status").stdout)
        self.assertIn("held back: clock", self.send(69).stderr)
        self.assertIn("held back: clock", self.gateway.run("check").stderr)
        self.assertEqual((self.platform.count(), self.platform.refused()), (0, []))
        with open(clock, "r+b") as file:
            file.write(struct.pack("qq", 0, 0))  # right, but still nobody says so
        self.wait_for_counter(3, seconds=90)
        self.catch_up()
        self.wait(lambda: health() == "ok\n", "the alarm ends")

    def test_packs_are_halved_until_the_platform_takes_them(self):
        self.begin(max_age="3s")
        # Room for about five of the thirty records of a pack.
        self.platform.control("POST", "/limits", {"max_body": 250})
        before = self.served()
        self.wait(lambda: max(self.counters()) > before + 40, "small packs get through", 60)
        self.assertTrue(any(refusal["status"] == 413 for refusal in self.platform.refused()))
        self.catch_up(60)

    def test_a_wrong_secret_parks_the_device_until_it_is_mended(self):
        self.begin()
        self.platform.control("POST", "/devices", {"id": BOILER, "secret": "wrongwrongwrongwrongwrongwrong"})
        away = self.served()
        self.wait(lambda: self.served() >= away + 20, "polling goes on")
        refused = len(self.platform.refused())
        self.wait(lambda: self.served() >= away + 40, "polling goes on")
        self.assertLess(len(self.platform.refused()) - refused, 10, "a parked device is probed rarely")
        self.platform.control("POST", "/devices", {"id": BOILER, "secret": SECRETS[BOILER]})
        self.catch_up(120)

    def test_a_poisoned_reading_is_set_aside_alone(self):
        self.plc.count_at(0)
        self.plc.holding[10] = 7
        self.start(COUNTING.replace("points: [", "points: [{name: poison, holding: 10}, "))
        self.wait_for_counter(3)
        # From now on this platform takes nothing with the name "poison": 404 would park, 413 halve, 400 bisects.
        self.platform.behave(status=400, count=3)
        self.wait(lambda: self.platform.control("GET", "/behaviour")["behaviours"][0]["used"] == 3
                  if self.platform.control("GET", "/behaviour")["behaviours"] else True, "three packs were refused", 60)
        away = self.served()
        # Those three answers cost at most the readings that stood alone in a refused pack.
        self.wait_for_counter(away + 20)
        missing = set(range(1, away + 1)) - set(self.counters())
        self.assertLessEqual(len(missing), 2, missing)

    def test_dead_letters_are_listed_retried_and_dropped_with_and_without_the_daemon(self):
        self.plc.count_at(0)
        self.plc.holding[10:70] = [0x4142] * 60
        self.start(COUNTING.replace("points: [", "points: [{name: label, holding: 10, type: string, length: 60}, "))
        self.wait_for_counter(3)
        # Less than a label alone.
        self.platform.control("POST", "/limits", {"max_body": 180})
        self.wait(lambda: len(self.letters()) >= 4, "readings are set aside", 60)
        self.platform.control("POST", "/limits", {"max_body": 1 << 20})
        first, second, *_, last = self.letters()
        self.assertEqual(self.tool("retry", str(first["id"])), "1 dead letter back in the queue\n")
        self.wait(lambda: self.has_arrived(first), "the retried one has arrived")
        self.assertEqual(self.gateway.stop()[0], 0)
        shown = self.tool("show")
        self.assertIn(f"{second['id']}  boiler/label = {second['value']} at 20", shown)
        self.assertNotIn(f" {first['id']}  boiler", shown)
        self.assertIn("(the daemon does not run)", self.tool("list"))
        self.assertNotIn(" 0 bytes on flash", self.tool("list"))
        self.tool("retry", "999999", code=1)
        self.assertEqual(self.tool("show", "boilr", code=64), "")  # not everybody's
        self.tool("retry", str(second["id"]))
        self.tool("drop", str(last["id"]))
        self.assertNotIn(last["id"], [letter["id"] for letter in self.letters()])
        self.gateway.start()
        self.wait(lambda: self.has_arrived(second), "the one retried meanwhile has arrived")
        self.tool("drop", "--all")
        self.assertEqual(self.letters(), [])

    def test_the_alarm_of_dead_letters_ends_with_the_last_one_of_its_device(self):
        self.plc.count_at(0)
        self.plc.holding[10:70] = [0x4142] * 60
        label = "points: [{name: label, holding: 10, type: string, length: 60}, "
        two = COUNTING + COUNTING[COUNTING.index("  - {"):].replace("boiler", "chiller").replace("BOILER", "CHILLER")
        self.start(two.replace("points: [", label))
        self.platform.control("POST", "/limits", {"max_body": 180})
        dead = {"device/boiler/dead", "device/chiller/dead"}
        self.wait(lambda: dead <= self.alarms(), "both devices have dead letters", 60)
        self.platform.control("POST", "/limits", {"max_body": 1 << 20})
        # What was refused before may still become a letter.
        def drop_those_of_boiler():
            ids = [str(letter["id"]) for letter in self.letters() if letter["dvnuuid"] == BOILER]
            if ids:
                self.tool("drop", *ids)
            return "device/boiler/dead" not in self.alarms()
        self.wait(drop_those_of_boiler, "the alarm of the one whose letters are gone has ended", 30)
        self.assertIn("device/chiller/dead", self.alarms())

    def test_the_chart_of_uploads_begins_with_this_start(self):
        port = free_port()
        self.begin(web_port=port)
        self.assertEqual(self.gateway.stop()[0], 0)
        self.platform.behave(kind="down")
        self.gateway.start()
        self.wait(lambda: any(value is not None for value in self.uploads(port)), "the chart has begun")
        self.assertEqual({value for value in self.uploads(port) if value is not None}, {0})

    @staticmethod
    def uploads(port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/charts", timeout=5) as answer:
            return next(chart["values"] for chart in json.load(answer)["charts"] if chart["key"] == "uploads")

    def alarms(self):
        return {alarm["key"] for alarm in json.loads(self.gateway.run("status", "--json").stdout)["alarms"]}

    def has_arrived(self, letter):
        return any(name == letter["name"] and round(float(time_) * 1000) == letter["time_ms"]
                   for _, _, name, time_, _ in self.platform.kept())

    def tool(self, *arguments, code=0):
        done = self.gateway.run("queue", *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def letters(self):
        return json.loads(self.tool("show", "--json"))


if __name__ == "__main__":
    main()
