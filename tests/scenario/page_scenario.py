# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser (headless Chromium): what a person sees, on a phone and on a desk, with a keyboard, in the
dark. Needs the packages of `packaging/install-dependencies watch`, so `.ci/run watch` runs it, not ctest. Screenshots
are left in the build folder as page-*.png."""

import base64
import http.client
import re
import socket

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from scenario import BOILER, SECRETS, Scenario, main
from support.authority import Authority
from support.gateway import free_port
from support.simulator import BUILD

FLEET = """
sources:
  plc:  {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
  gone: {plugin: modbus, host: 127.0.0.1, tcp_port: GONE, timeout: 200ms}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 200ms,
     points: [{name: temperature, unit: Cel, holding: 100, type: int16, scale: 0.1},
              {name: setpoint, unit: Cel, holding: 200, type: float32, writable: {min: 5, max: 30}}]}
  - {name: chiller, dvnuuid: CHILLER, secret: {file: chiller}, source: gone, interval: 200ms,
     points: [{name: pressure, unit: Pa, holding: 5}]}
"""
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars")


def closed_port():
    """A port where nobody listens, and nobody else will be given it while the socket lives."""
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))
    return probe, probe.getsockname()[1]


class Page(Scenario):
    @classmethod
    def setUpClass(cls):
        options = webdriver.ChromeOptions()
        for option in OPTIONS:
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def setUp(self):
        super().setUp()
        probe, gone = closed_port()
        self.addCleanup(probe.close)
        self.plc.holding[100] = 205
        self.plc.set_float(200, 21.5)
        self.web_port = free_port()
        self.start(FLEET.replace("GONE", str(gone)), web_port=self.web_port)
        self.browser.get_log("browser")
        self.browser.get(f"http://127.0.0.1:{self.web_port}/")
        self.wait_for_text("device-list", "20.5 Cel")

    def text(self, id_):
        return self.browser.find_element(By.ID, id_).text

    def wait_for_text(self, id_, words, seconds=20):
        self.wait(lambda: words in self.text(id_), f"'{words}' in {id_}: {self.text(id_)!r}", seconds)

    def get(self, path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=5)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()

    def test_it_shows_what_is_there_and_updates_by_itself(self):
        self.wait_for_text("source-table", "plc (modbus)")
        self.plc.holding[100] = 777
        self.wait_for_text("device-list", "77.7 Cel")
        self.platform.downlink(BOILER, [{"n": "setpoint", "v": 25.5}])
        self.wait_for_text("command-table", "done")
        self.assertIn("25.5", self.text("command-table"))
        self.assertFalse(self.browser.find_element(By.ID, "no-command").is_displayed())

    def test_an_alarm_says_what_is_wrong_and_what_to_do_and_goes_when_it_is_mended(self):
        self.wait_for_text("alarm-list", "gone: 127.0.0.1")
        self.wait_for_text("source-table", "failing")
        self.wait_for_text("device-list", "refuses the connection")
        self.platform.behave(kind="status", status=401, device=BOILER, count=0)
        self.wait_for_text("alarm-list", "boiler")
        self.wait_for_text("alarm-list", "Portal")
        self.assertIn("attention", self.text("summary"))
        self.browser.save_screenshot(str(BUILD / "page-alarm.png"))
        self.platform.behave_well()
        self.assertEqual(self.gateway.run("queue", "retry", "--device", "boiler").returncode, 0)  # else the next probe is a minute away
        self.wait(lambda: "Portal" not in self.text("alarms"), "the alarm is over")

    def test_it_says_when_the_gateway_does_not_answer_and_comes_back(self):
        self.gateway.kill()
        self.wait_for_text("summary", "does not answer")
        self.gateway.start()
        self.wait(lambda: "does not answer" not in self.text("summary"), "the page is back")

    def test_it_fits_a_phone_a_tablet_and_a_desk(self):
        for width, height in ((390, 844), (820, 1180), (1400, 1000)):
            self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                         {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500})
            self.browser.refresh()
            self.wait_for_text("device-list", "20.5 Cel")
            wide = self.browser.execute_script("return document.scrollingElement.scrollWidth")
            self.assertLessEqual(wide, width)
            self.browser.save_screenshot(str(BUILD / f"page-{width}.png"))
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def test_it_is_dark_where_the_system_is(self):
        def background(scheme):
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            return self.browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        light, dark = background("light"), background("dark")
        self.browser.save_screenshot(str(BUILD / "page-dark.png"))
        brightness = [sum(int(part) for part in colour.strip("rgb()").split(",")[:3]) for colour in (light, dark)]
        self.assertGreater(brightness[0], 600)
        self.assertLess(brightness[1], 150)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def test_a_keyboard_is_enough_and_an_update_takes_no_focus_away(self):
        page = self.browser.switch_to
        page.active_element.send_keys(Keys.TAB)
        self.assertIn("Skip", page.active_element.text)
        page.active_element.send_keys(Keys.ENTER)
        page.active_element.send_keys(Keys.TAB)
        self.assertEqual(page.active_element.tag_name, "summary")
        self.assertIn("boiler", page.active_element.text)
        page.active_element.send_keys(Keys.ENTER)
        self.wait(lambda: "temperature" not in self.text("device-list"), "the device is closed")
        self.plc.holding[100] = 333
        page.active_element.send_keys(Keys.ENTER)
        self.wait_for_text("device-list", "33.3 Cel")
        self.plc.holding[100] = 444
        self.wait_for_text("device-list", "44.4 Cel")
        self.assertIn("boiler", page.active_element.text)

    def test_a_reader_is_told_the_summary_and_every_chart_and_cell_has_words(self):
        self.assertEqual(self.browser.find_element(By.ID, "summary").get_attribute("aria-live"), "polite")
        nameless = self.browser.execute_script("""
            const named = (e) => e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim();
            return [...document.querySelectorAll("svg, meter, table, section, a, summary, th, [role]")]
              .filter((e) => !named(e) && !e.hidden).map((e) => e.outerHTML.slice(0, 120))""")
        self.assertEqual(nameless, [])
        self.assertEqual(self.browser.find_element(By.TAG_NAME, "html").get_attribute("lang"), "en")

    def test_nothing_comes_from_elsewhere_nothing_is_complained_of_and_no_secret_is_shown(self):
        self.wait(lambda: self.browser.execute_script("return performance.getEntriesByType('resource').length") > 4, "it polls")
        names = self.browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
        self.assertEqual([n for n in names if not n.startswith(f"http://127.0.0.1:{self.web_port}/")], [])
        self.assertEqual(self.browser.get_log("browser"), [])
        for path in ("/", "/page.js", "/page.css", "/api/v1/status", "/api/v1/charts", "/metrics", "/healthz"):
            _, headers, body = self.get(path)
            for secret in SECRETS.values():
                self.assertNotIn(secret, body)
            policy = headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertNotIn("unsafe", policy)

    def test_it_has_the_gateways_name_and_works_over_tls_with_a_password(self):
        certificate, key = Authority(self.folder).issue("127.0.0.1")
        key.chmod(0o600)
        self.gateway.stop()
        text = self.gateway.config.read_text()
        self.gateway.config.write_text("name: west wall\n" + re.sub(
            r'(web: \{listen: "[^"]*")', rf'\1, tls: {{cert_file: {certificate}, key_file: {key}}}, password: "correct horse"', text))
        self.gateway.config.chmod(0o600)
        self.gateway.start()
        credentials = base64.b64encode(b"me:correct horse").decode()
        self.browser.execute_cdp_cmd("Security.setIgnoreCertificateErrors", {"ignore": True})  # of an authority that nobody knows
        self.browser.execute_cdp_cmd("Network.enable", {})
        self.browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"Authorization": f"Basic {credentials}"}})
        try:
            self.browser.get(f"https://127.0.0.1:{self.web_port}/")
            self.wait_for_text("device-list", "20.5 Cel")
            self.assertEqual(self.text("name"), "west wall")
            self.assertTrue(self.browser.title.endswith("west wall · KPN Things gateway"), self.browser.title)
            self.browser.save_screenshot(str(BUILD / "page-tls.png"))
        finally:
            self.browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})

    def test_other_sites_get_nothing(self):
        self.assertEqual(self.get("/api/v1/status", Host="evil.example")[0] // 100, 4)
        self.assertEqual(self.get("/api/v1/status", Origin="http://evil.example")[0] // 100, 4)
        self.assertEqual(self.get("/api/v1/status", **{"Sec-Fetch-Site": "cross-site"})[0] // 100, 4)
        self.assertNotIn("Access-Control-Allow-Origin", self.get("/api/v1/status")[1])


if __name__ == "__main__":
    main()
