# SPDX-License-Identifier: Apache-2.0
"""The gateway watched by a real Prometheus: it scrapes, every panel of the dashboard gets data, the alert rules pass
their tests. Needs the packages of `packaging/install-dependencies watch`, so `.ci/run watch` runs it, not ctest."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request

import jsonschema

from scenario import BOILER, CHILLER, Scenario, main
from support.gateway import free_port

TREE = pathlib.Path(__file__).resolve().parents[2]
FLEET = """
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 100ms,
     points: [{name: counter, holding: 0, type: uint32}]}
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: plc, interval: 100ms,
     points: [{name: pressure, holding: 5}]}
"""


class Prometheus:
    """One of Debian's, that scrapes one gateway once a second into a folder of its own."""

    def __init__(self, folder, gateway_port):
        self.port = free_port()
        settings = folder / "prometheus.yml"
        settings.write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{TREE}/etc/prometheus/alerts.yaml"]
scrape_configs: [{{job_name: things-gateway, static_configs: [{{targets: ["127.0.0.1:{gateway_port}"]}}]}}]
""")
        program = shutil.which("prometheus") or "prometheus"
        self.process = subprocess.Popen(
            [program, f"--config.file={settings}", f"--storage.tsdb.path={folder}/tsdb",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def ask(self, path, **query):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=5) as answer:
            return json.load(answer)["data"]

    def query(self, expression):
        """{labels: value} of an instant query."""
        return [(sample["metric"], float(sample["value"][1])) for sample in self.ask("query", query=expression)["result"]]

    def close(self):
        self.process.kill()
        self.process.wait()


def is_true(call):
    try:
        return call()
    except OSError:
        return False


class Watched(Scenario):
    def setUp(self):
        super().setUp()
        self.plc.count_at(0)
        self.web_port = free_port()
        self.start(FLEET, web_port=self.web_port)
        other = tempfile.TemporaryDirectory(prefix="things-prometheus-")
        self.addCleanup(other.cleanup)
        self.prometheus = Prometheus(pathlib.Path(other.name), self.web_port)
        self.addCleanup(self.prometheus.close)

    def wait_for_sample(self, expression, is_right, seconds=30):
        self.wait(lambda: is_true(lambda: any(is_right(value) for _, value in self.prometheus.query(expression))), expression, seconds)

    def test_the_books_balance_in_what_prometheus_scraped(self):
        self.wait_for_sample("things_gateway_readings_accepted_total", lambda accepted: accepted > 50)
        balance = ("things_gateway_readings_read_total - things_gateway_readings_accepted_total - things_gateway_queue_readings"
                   " - things_gateway_queue_dead_readings - sum without (reason) (things_gateway_readings_dropped_total)")
        self.assertEqual({value for _, value in self.prometheus.query(balance)}, {0.0})
        targets = self.prometheus.ask("targets")["activeTargets"]
        self.assertEqual([(t["health"], t["lastError"]) for t in targets], [("up", "")])

    def test_every_metric_says_its_type_and_meaning_and_cardinality_is_bounded_by_the_configuration(self):
        self.wait_for_sample("things_gateway_readings_accepted_total", lambda accepted: accepted > 0)
        told = {entry["metric"]: (entry["type"], entry["help"]) for entry in self.prometheus.ask("targets/metadata")}
        names = {name for name in self.prometheus.ask("label/__name__/values") if name.startswith("things_gateway_")}
        for name in names:
            kind, help_ = told[name.removesuffix("_total") if name.endswith("_total") else name]
            self.assertEqual(kind, "counter" if name.endswith("_total") else "gauge", name)
            self.assertTrue(help_.endswith("."), name)
        series = self.prometheus.ask("series", **{"match[]": '{__name__=~"things_gateway_.*"}'})
        self.assertLessEqual({label for one in series for label in one},
                             {"__name__", "instance", "job", "device", "source", "plugin", "reason", "verdict", "name", "version"})

    def test_a_device_that_the_platform_refuses_is_seen(self):
        self.wait_for_sample('things_gateway_device_up{device="boiler"}', lambda up: up == 1)
        self.platform.behave(kind="status", status=401, device=BOILER, count=0)
        self.wait_for_sample('things_gateway_device_up{device="boiler"}', lambda up: up == 0)
        self.wait_for_sample('things_gateway_device_up{device="chiller"}', lambda up: up == 1)
        self.wait(lambda: any(a["labels"]["alertname"] == "DeviceParked" and a["labels"]["device"] == "boiler"
                              for a in self.prometheus.ask("alerts")["alerts"]), "the alert is pending", 90)

    def test_every_panel_of_the_dashboard_has_data(self):
        self.wait_for_sample("rate(things_gateway_readings_accepted_total[5m])", lambda rate: rate > 0)
        self.wait_for_sample("things_gateway_device_last_upload_timestamp_seconds", lambda time: time > 0)
        dashboard = json.loads((TREE / "etc/grafana/gateway.json").read_text())
        empty = []
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                if not self.prometheus.query(target["expr"].replace("$instance", ".*")):
                    empty.append((panel["title"], target["expr"]))
        self.assertEqual(empty, [])
        variable = dashboard["templating"]["list"][1]["query"]["query"]
        self.assertTrue(self.prometheus.query(re.fullmatch(r"label_values\((\w+), \w+\)", variable).group(1)))


class Status(Scenario):
    def test_the_document_is_as_its_schema_says(self):
        schema = json.loads((TREE / "etc/status.schema.json").read_text())
        self.plc.count_at(0)
        port = free_port()
        self.start(FLEET.replace("holding: 5}", "holding: 5, writable: true}"), web_port=port)
        self.platform.behave(kind="status", status=401, device=BOILER, count=0)
        self.platform.downlink(CHILLER, [{"n": "pressure", "v": 7}])

        def has_everything():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status", timeout=5) as answer:
                status = json.load(answer)
            return status["alarms"] and status["commands"] and status
        jsonschema.validate(self.wait(has_everything, "an alarm and a command"), schema)
        jsonschema.validate(json.loads(self.gateway.run("status", "--json").stdout), schema)


class Alerts(unittest.TestCase):
    def test_the_rules_raise_what_they_should_and_nothing_else(self):
        done = subprocess.run(["promtool", "test", "rules", TREE / "tests/status/alerts.yaml"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    main()
