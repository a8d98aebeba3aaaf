# SPDX-License-Identifier: Apache-2.0
"""The page beyond loopback: TLS, password and gzip in the real daemon, and what keeps them from hurting its main job."""

import base64
import gzip
import http.client
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time

from scenario import Scenario, main
from support.authority import Authority
from support.gateway import Gateway, free_port

PASSWORD = "correct horse"
FLEET = """
name: west-wall
sources:
  plc: {plugin: modbus, host: 127.0.0.1, tcp_port: PLC}
devices:
  - {name: boiler, dvnuuid: BOILER, secret: {file: boiler}, source: plc, interval: 200ms,
     points: [{name: counter, holding: 0, type: uint32}]}
"""


def basic(password, user="anybody"):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Web(Scenario):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder)
        self.certificate, self.key = self.folder / "web.pem", self.folder / "web.key"
        self.renew("127.0.0.1")
        (self.folder / "password").write_text(PASSWORD + "\n")
        (self.folder / "password").chmod(0o600)
        self.web_port = free_port()
        self.client = ssl.create_default_context(cafile=str(self.authority.file))
        self.plc.count_at(0)

    def renew(self, host):
        """As a renewal does: each file is replaced by one of its name."""
        for new, place in zip(self.authority.issue(host), (self.certificate, self.key)):
            shutil.copy(new, self.folder / "new")
            (self.folder / "new").chmod(0o600)
            os.replace(self.folder / "new", place)

    def begin(self, web="tls: {cert_file: web.pem, key_file: web.key}, password: {file: password}", start=True, address="127.0.0.1"):
        yaml = self.yaml(FLEET).splitlines()
        yaml = [f'web: {{listen: "{address}:{self.web_port}", {web}}}' if line.startswith("web:") else line for line in yaml]
        self.gateway = Gateway(self.folder, "\n".join(yaml) + "\n", start=start)
        self.addCleanup(self.gateway.__exit__)
        return self.gateway

    def get(self, path, context=None, **headers):
        connection = http.client.HTTPSConnection("127.0.0.1", self.web_port, timeout=10, context=context or self.client)
        connection.connect()
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def serial(self):
        """Of the certificate that is shown to whoever connects now."""
        with socket.create_connection(("127.0.0.1", self.web_port), 10) as raw, \
                self.client.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            return tls.getpeercert()["serialNumber"]

    def test_whoever_has_the_password_sees_all_and_nobody_else_anything_but_whether_it_is_well(self):
        self.begin()
        self.assertIn(f"page on https://127.0.0.1:{self.web_port}/", self.gateway.log())
        for path in ("/", "/page.js", "/api/v1/status", "/api/v1/charts", "/metrics", "/no-such-page"):
            status, headers, body = self.get(path)
            self.assertEqual(status, 401, path)
            self.assertEqual(headers["WWW-Authenticate"], 'Basic realm="KPN Things gateway", charset="UTF-8"')
            self.assertNotIn(b"boiler", body)
            self.assertEqual(self.get(path, **basic(PASSWORD))[0], 404 if path == "/no-such-page" else 200, path)
        self.assertEqual(self.get("/healthz")[::2], (200, b"ok\n"))
        status = json.loads(self.get("/api/v1/status", **basic(PASSWORD, "admin"))[2])
        self.assertEqual(status["name"], "west-wall")
        self.assertIn(b'things_gateway_info{name="west-wall",', self.get("/metrics", **basic(PASSWORD))[2])
        self.assertIn("west-wall", self.gateway.run("status").stdout)
        self.platform.behave(kind="status", status=401, count=0)
        self.wait(lambda: self.get("/healthz")[0] == 503, "the device is parked")
        self.assertEqual(self.get("/healthz")[2], b"not well; the reasons are told with the password\n")
        self.assertIn(b"boiler", self.get("/healthz", **basic(PASSWORD))[2])
        for word in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
            self.assertNotIn(word, self.gateway.log() + self.gateway.run("check", "--print").stdout)

    def test_wrong_passwords_are_slowed_and_neither_the_page_nor_the_readings_of_others_are(self):
        self.begin()
        begin = time.monotonic()
        for guess in ("", "wrong", PASSWORD + "x"):
            self.assertEqual(self.get("/", **basic(guess))[0], 401)
        self.assertEqual(self.get("/", **{"Authorization": "Bearer x"})[0], 401)
        self.assertGreater(time.monotonic() - begin, 3)  # the first is answered at once, each of the others after a second
        begin = time.monotonic()
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertEqual(self.get("/")[0], 401)  # nobody guessed
        self.assertLess(time.monotonic() - begin, 0.9)
        self.assertEqual(self.get("/", **basic(PASSWORD))[0], 200)  # its second is waited for
        before = self.counters()[-1]
        self.wait_for_counter(before + 5)

    def test_a_renewed_certificate_holds_for_the_next_connection_and_a_pair_that_does_not_match_for_none(self):
        self.begin()
        first = self.serial()
        self.renew("127.0.0.1")
        self.wait(lambda: self.serial() != first, "the new certificate is shown")
        second = self.serial()
        other, _ = self.authority.issue("127.0.0.1")
        shutil.copy(other, self.certificate)
        self.wait(lambda: "the older certificate is still shown" in self.gateway.run("status").stdout, "an alarm says so")
        self.assertEqual(self.serial(), second)
        self.renew("127.0.0.1")
        self.wait(lambda: self.serial() != second, "the next one is shown")
        self.wait(lambda: "web.tls" not in self.gateway.run("status").stdout, "the alarm is over")

    def test_nothing_older_than_tls_1_2_and_no_plain_request_is_answered_with_a_page(self):
        self.begin()
        for version, works in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            context = ssl.create_default_context(cafile=str(self.authority.file))
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = version
            if works:
                self.assertEqual(self.get("/healthz", context=context)[0], 200)
            else:
                with self.assertRaises(ssl.SSLError):
                    self.get("/healthz", context=context)
        plain = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=10)
        plain.request("GET", "/")
        answer = plain.getresponse()
        self.assertEqual((answer.status, b"https://" in answer.read()), (400, True))

    def test_half_open_connections_keep_nobody_away_and_end_by_themselves(self):
        self.begin()
        hello = b"\x16\x03\x01\x02\x00\x01"
        halves = [socket.create_connection(("127.0.0.1", self.web_port), 10) for _ in range(40)]
        self.addCleanup(lambda: [half.close() for half in halves])
        begin = time.monotonic()
        for number, half in enumerate(halves):
            half.settimeout(20)
            try:
                half.sendall(hello[:number % 7])
            except OSError:
                pass  # pushed out already
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertLess(time.monotonic() - begin, 4)
        for half in halves:
            try:
                while half.recv(4096):
                    pass
            except ConnectionError:
                pass
        self.assertLess(time.monotonic() - begin, 12)

    def test_whoever_shakes_hands_without_end_gets_his_share_and_no_more(self):
        self.begin()
        done, end, seconds = [], threading.Event(), 4

        def shake():
            while not end.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", self.web_port), 10, source_address=("127.0.0.2", 0)) as raw, \
                            self.client.wrap_socket(raw, server_hostname="127.0.0.1"):
                        done.append(time.monotonic())
                except OSError:
                    pass  # pushed out
        crowd = [threading.Thread(target=shake) for _ in range(24)]
        for one in crowd:
            one.start()
        try:
            begin, before = time.monotonic(), (self.counters() or [0])[-1]
            time.sleep(seconds)
            count = len([when for when in done if when > begin])
            self.assertEqual(self.get("/healthz")[0], 200)
            self.wait_for_counter(before + 10)
        finally:
            end.set()
            for one in crowd:
                one.join()
        self.assertLessEqual(count, 8 + 20 * seconds + 5)
        self.assertGreater(count, 20)

    def test_two_readings_of_a_request_are_refused_over_tls_too(self):
        self.begin()
        credentials = basic(PASSWORD)["Authorization"]
        for lines in ("Host: localhost\r\nHost: evil.example", f"Host: localhost\r\nAuthorization: {credentials}",
                      "Host: localhost\r\nTransfer-Encoding: xchunked"):
            with socket.create_connection(("127.0.0.1", self.web_port), 10) as raw, \
                    self.client.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
                tls.sendall(f"GET / HTTP/1.1\r\nAuthorization: {credentials}\r\n{lines}\r\n\r\n".encode())
                self.assertTrue(tls.recv(4096).startswith(b"HTTP/1.1 400 "), lines)

    def test_answers_are_gzipped_for_whoever_takes_that(self):
        self.begin()
        _, headers, plain = self.get("/page.js", **basic(PASSWORD))
        self.assertNotIn("Content-Encoding", headers)
        for words, packed in (("gzip", True), ("deflate, GZIP;q=0.5", True), ("gzip;q=0, identity", False), ("br", False)):
            _, headers, body = self.get("/page.js", **basic(PASSWORD), **{"Accept-Encoding": words})
            self.assertEqual(headers.get("Content-Encoding"), "gzip" if packed else None, words)
            self.assertEqual(headers["Vary"], "Accept-Encoding")
            self.assertEqual(gzip.decompress(body) if packed else body, plain)
            self.assertLess(len(body), len(plain) / 2 if packed else len(plain) + 1)

    def test_curl_and_prometheus_as_people_set_them_up(self):
        self.begin()
        url = f"https://127.0.0.1:{self.web_port}"
        done = subprocess.run(["curl", "-sS", "--compressed", "--cacert", self.authority.file, "-u", f"me:{PASSWORD}", f"{url}/metrics"],
                              capture_output=True, text=True, timeout=20)
        self.assertIn("things_gateway_config_ok 1", done.stdout, done.stderr)
        if not shutil.which("prometheus"):
            self.skipTest("no prometheus here")
        (self.folder / "prometheus.yml").write_text(f"""
scrape_configs:
  - {{job_name: gateway, scheme: https, scrape_interval: 1s, tls_config: {{ca_file: {self.authority.file}}},
     basic_auth: {{username: prometheus, password_file: {self.folder}/password}}, static_configs: [{{targets: ["127.0.0.1:{self.web_port}"]}}]}}
""")
        port = free_port()
        server = subprocess.Popen(["prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/tsdb",
                                   f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (server.kill(), server.wait()))

        def is_scraped():
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/api/v1/query?query=things_gateway_info")
                return b"west-wall" in connection.getresponse().read()
            except OSError:
                return False
        self.wait(is_scraped, "prometheus has the gateway's name", 40)

    def test_the_socket_needs_no_password_and_is_its_groups(self):
        self.begin(web="password: {file: password}, socket: web.sock")
        path = self.folder / "web.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200 "))
        plain = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=10)
        plain.request("GET", "/")
        self.assertEqual(plain.getresponse().status, 401)  # on this machine without TLS

    def test_without_a_usable_certificate_the_gateway_reads_and_says_why_there_is_no_page(self):
        self.key.chmod(0o644)
        self.begin()
        self.wait_for_counter(1)
        self.assertIn(f"web.tls: {self.key} can be read by others; run: chmod 600 {self.key}", self.gateway.run("status").stdout)
        checked = self.gateway.run("check")
        self.assertEqual(checked.returncode, 78)
        self.assertIn(f"key_file: {self.key} can be read by others; run: chmod 600 {self.key}", checked.stderr)
        self.key.chmod(0o600)
        self.wait(lambda: "web.tls" not in self.gateway.run("status").stdout, "it is served once it can be")
        self.assertEqual(self.get("/healthz")[0], 200)

    def test_check_refuses_a_password_in_the_clear_and_warns_of_a_page_for_everybody(self):
        gateway = self.begin(start=False, address="0.0.0.0", web="password: {file: password}")
        checked = gateway.run("check")
        self.assertEqual(checked.returncode, 78)
        self.assertIn("password: without tls it would cross the network to 0.0.0.0 in the clear; add tls", checked.stderr)
        tls = "tls: {cert_file: web.pem, key_file: web.key}"
        for web, warned in ((tls, True), ("names: []", True), (f"{tls}, password: {{file: password}}", False)):
            self.gateway.__exit__()
            checked = self.begin(start=False, address="0.0.0.0", web=web).run("check")
            self.assertEqual(checked.returncode, 0, checked.stderr)
            self.assertEqual("warning: listen: everybody who reaches 0.0.0.0 can read the page" in checked.stderr, warned, web)
        self.gateway = None  # there is none that ran


if __name__ == "__main__":
    main()
