# SPDX-License-Identifier: Apache-2.0
"""The simulator against Python's own TLS, HTTP, SHA-256 and JSON: what it must accept, and what it must not."""

import http.client
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.cases import main  # noqa: E402
from support.simulator import BUILD, PATH, Simulator, token, wait_until  # noqa: E402

U = "6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40"
SECRET = "abcdefghijklmnopqrstuvwxyzABCD"
OTHER = "11111111-2222-4333-8444-555555555555"
BASE = f"urn:dev:DVNUUID:{U}:"
NOW = int(time.time())
VECTORS = json.loads((pathlib.Path(__file__).parent / "tokens.json").read_text())["vectors"]


def pack(*records, base=BASE, time_=NOW):
    """A pack with base fields in the first record, as compact bytes."""
    first = {"bn": base}
    if time_ is not None:
        first["bt"] = time_
    return json.dumps([{**first, **records[0]}, *records[1:]], separators=(",", ":"), ensure_ascii=False).encode()


class SimulatorCase(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.platform = Simulator(cls.folder.name, [{"dvnuuid": U, "secret": SECRET, "name": "boiler"},
                                                   {"dvnuuid": OTHER, "secret": SECRET[::-1]}], cls.options)
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.platform.stop)

    def setUp(self):
        self.platform.behave_well()
        self.platform.control("POST", "/clear")

    def status(self, body, **more):
        return self.platform.post(body, secret=SECRET, **more)[0]

    def refusal(self, body):
        """The reason of the 400 that `body` gets."""
        self.assertEqual(self.status(body), 400, body)
        self.assertEqual(self.platform.count(), 0)
        return self.platform.refused()[-1]["reason"]


class Tokens(SimulatorCase):
    options = ("--oldest", "1e9", "--ahead", "1e9")

    def test_every_published_vector_is_the_token_we_compute_too(self):
        for vector in VECTORS:
            self.assertEqual(len(vector["body"].encode()), vector["bytes"], vector["id"])
            right = token(vector["body"].encode(), vector["secret"]) == vector["token"]
            self.assertEqual(right, vector["id"] != "GX", vector["id"])

    def test_every_vector_gets_the_answer_its_token_and_body_deserve(self):
        # Tokens that fit; then what is inside decides: S1 is ThingsML (a label that must be understood), G8 and G9 are no packs.
        expected = {"S1": 400, "G8": 400, "G9": 400, "GX": 401}
        for vector in VECTORS:
            device = "device-name" if vector["id"].startswith("S") else U
            with self.subTest(vector["id"]):
                self.platform.control("POST", "/devices", {"id": device_id(device), "secret": vector["secret"]})
                body = vector["body"].encode()
                status = self.platform.post(body, token_text=vector["token"])[0]
                self.assertEqual(status, expected.get(vector["id"], 202), self.platform.refused())

    def test_no_vector_passes_with_one_digit_of_its_token_changed(self):
        for vector in VECTORS:
            if vector["id"] in ("G8", "G9"):
                continue
            self.platform.control("POST", "/devices", {"id": device_id("device-name" if vector["id"][0] == "S" else U),
                                                       "secret": vector["secret"]})
            wrong = vector["token"][:-1] + ("0" if vector["token"][-1] != "0" else "1")
            self.assertEqual(self.platform.post(vector["body"].encode(), token_text=wrong)[0], 401, vector["id"])


def device_id(name):
    """How the control port is told a base name that is not a DvnUUID's."""
    return {"device-name": "=device-name"}.get(name, name)


class Requests(SimulatorCase):
    def test_the_answer_is_the_one_the_platform_was_seen_to_give(self):
        body = pack({"n": "temperature", "u": "Cel", "v": 20.5})
        context = ssl.create_default_context(cafile=self.platform.ca_file)
        with context.wrap_socket(socket.create_connection(("127.0.0.1", self.platform.port)),
                                 server_hostname="localhost") as tls:
            tls.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nThings-Message-Token: {token(body, SECRET)}\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                answer += tls.recv(4096)
        self.assertRegex(answer, rb"^HTTP/1.1 202 \r\nDate: [^\r]{29}\r\nContent-Length: 0\r\n"
                                 rb"Connection: keep-alive\r\n\r\n$")
        self.assertEqual(len(answer), 97)

    def test_many_posts_share_a_connection(self):
        connection = self.platform.connect()
        before = self.platform.stats()["connections"]
        for i in range(50):
            self.assertEqual(self.status(pack({"n": "count", "v": i}, time_=NOW + i), connection=connection), 202)
        connection.close()
        self.assertEqual(self.platform.stats()["connections"], before + 1)
        self.assertEqual([r["value"] for r in self.platform.accepted()], list(range(50)))

    def test_a_request_that_is_not_the_documented_one_is_refused(self):
        body = pack({"n": "a", "v": 1})
        good = token(body, SECRET)
        for status, more in [(404, {"path": "/ingestion/ip/senml/v2"}), (405, {"method": "PUT"}),
                             (400, {"headers": {"Things-Message-Token": None}}),
                             (401, {"token_text": good.upper()}), (401, {"token_text": good[:-1]}),
                             (401, {"token_text": "0" * 64}),
                             (400, {"headers": {"Content-Type": "text/plain"}}),
                             (202, {"headers": {"Content-Type": None}}),
                             (202, {"headers": {"Content-Type": "application/senml+json"}})]:
            with self.subTest(more):
                self.assertEqual(self.platform.post(body, **{"token_text": good, **more})[0], status)

    def test_a_body_without_a_length_is_refused(self):
        connection = self.platform.connect()
        connection.putrequest("POST", PATH)
        connection.putheader("Things-Message-Token", "0" * 64)
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 400)
        self.assertIn("Transfer-Encoding", self.platform.refused()[-1]["reason"])

    def test_an_unknown_device_gets_404_and_a_wrong_secret_401(self):
        self.assertEqual(self.status(pack({"n": "a", "v": 1}, base="urn:dev:DVNUUID:nobody:")), 404)
        self.assertEqual(self.platform.post(pack({"n": "a", "v": 1}), secret=SECRET[::-1])[0], 401)
        self.platform.control("DELETE", "/devices", id=OTHER)
        self.assertEqual(self.platform.post(pack({"n": "a", "v": 1}, base=f"urn:dev:DVNUUID:{OTHER}:"),
                                            secret=SECRET[::-1])[0], 404)
        self.platform.control("POST", "/devices", {"id": OTHER, "secret": SECRET})
        self.assertEqual(self.status(pack({"n": "a", "v": 1}, base=f"urn:dev:DVNUUID:{OTHER}:")), 202)

    def test_a_client_that_does_not_trust_the_authority_never_gets_through(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            http.client.HTTPSConnection("127.0.0.1", self.platform.port, timeout=5).request("GET", "/")

    def test_garbage_instead_of_http_harms_nobody(self):
        context = ssl.create_default_context(cafile=self.platform.ca_file)
        for junk in (b"\0" * 70000, b"GET\r\n\r\n", b"POST / HTTP/9\r\n\r\n", b"POST / HTTP/1.1\r\nno colon\r\n\r\n",
                     b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"):
            with context.wrap_socket(socket.create_connection(("127.0.0.1", self.platform.port)),
                                     server_hostname="localhost") as tls:
                try:
                    tls.sendall(junk)
                    self.assertRegex(tls.recv(100), rb"^HTTP/1.1 4\d\d ")
                except (ConnectionError, ssl.SSLError):
                    pass
        self.assertEqual(self.status(pack({"n": "a", "v": 1})), 202)


class Senml(SimulatorCase):
    def test_each_kind_of_value_is_resolved(self):
        body = pack({"n": "temperature", "u": "Cel", "v": 20.5}, {"n": "energy", "u": "kWh", "v": -1e-7, "t": -60},
                    {"n": "pump", "vb": True}, {"n": "label", "vs": "caf\u00e9 \u20ac \" \\ \n"}, {"n": "raw", "vd": "aGkgCg"},
                    {"n": "big", "v": 36893488147419103232})
        self.assertEqual(self.status(body), 202, self.platform.refused())
        got = {r["name"]: (r["value"], r["unit"], r["time"]) for r in self.platform.accepted()}
        self.assertEqual(got, {"temperature": (20.5, "Cel", NOW), "energy": (-1e-7, "kWh", NOW - 60),
                               "pump": (True, None, NOW), "label": ("caf\u00e9 \u20ac \" \\ \n", None, NOW),
                               "raw": ("aGkgCg", None, NOW), "big": (36893488147419103232.0, None, NOW)})

    def test_a_first_record_with_base_fields_only_is_the_documented_style(self):
        self.assertEqual(self.status(pack({}, {"n": "a", "v": 1})), 202)
        self.assertEqual(self.platform.count(), 1)

    def test_a_pack_without_a_time_gets_the_time_of_arrival(self):
        self.assertEqual(self.status(pack({"n": "a", "v": 1}, {"n": "b", "v": 1, "t": -5}, time_=None)), 202)
        a, b = self.platform.accepted()
        self.assertAlmostEqual(a["time"], time.time(), delta=5)
        self.assertAlmostEqual(a["time"] - b["time"], 5, places=3)

    def test_what_is_not_senml_is_refused_with_the_reason(self):
        second = {"n": "b", "v": 1}
        for reason, body in [
                ("not JSON", b""), ("not JSON", b"[{"), ("not JSON", b"\xff"), ("the pack is empty", b"[]"),
                ("not JSON", pack(second) + b"x"), ("not an array", b"{}"), ("not an array", b"3"),
                ("not a record", b"[3]"), ("not a record", b"[[]]"), ("no base name", b'[{"n":"a","v":1}]'),
                ("not JSON", pack({"n": "a", "vs": "?"}).replace(b"?", b"\xc3")),
                ("not JSON", pack({"n": "a", "v": 0}).replace(b":0}", b":NaN}")),
                ("not JSON", pack({"n": "a", "v": 0}).replace(b":0}", b":01}")),
                ("not finite", pack({"n": "a", "v": 0}).replace(b":0}", b":1e400}")),
                ("E instead of e", pack({"n": "a", "v": 0}).replace(b":0}", b":1E3}")),
                ("v: is a string", pack({"n": "a", "v": "1"})), ("vb: is a number", pack({"n": "a", "vb": 1})),
                ("vs: is a number", pack({"n": "a", "vs": 1})), ("null", pack({"n": "a", "v": None})),
                ("array inside", pack({"n": "a", "v": [1]})), ("object inside", pack({"n": "a", "v": {}})),
                ("more than one value", pack({"n": "a", "v": 1, "vb": True})), ("no value", pack({"n": "a"})),
                ("no value", pack(second, {"n": "a"})), ("no value", pack(second, {})),
                ("no reading", pack({})), ("no name", pack({"v": 1})), ("no name", pack({"n": "", "v": 1})),
                ("not allow", pack({"n": "a b", "v": 1})), ("not allow", pack({"n": "a%", "v": 1})),
                ("not allow", pack({"n": "\u00e9", "v": 1})),
                ("must be understood", pack({"n": "a", "v": 1, "foo_": 1})), ("unknown label", pack({"n": "a", "v": 1, "x": 1})),
                ("outside the subset", pack({"n": "a", "s": 1})), ("outside the subset", pack({"bu": "Cel", "n": "a", "v": 1})),
                ("outside the subset", pack({"bver": 5, "n": "a", "v": 1})),
                ("after the first record", pack(second, {"bt": NOW, "n": "a", "v": 1})),
                ("after the first record", pack(second, {"bn": BASE, "n": "a", "v": 1})),
                ("label v twice", pack(second)[:-2] + b',"v":2}]'), ("not registered", pack({"n": "a", "u": "C\u00b0", "v": 1})),
                ("not registered", pack({"n": "a", "u": "", "v": 1})), ("not base64url", pack({"n": "a", "vd": "a+b="})),
                ("not base64url", pack({"n": "a", "vd": "aaaaa"})), ("twice at the same time", pack(second, second)),
                ("twice at the same time", pack(second, {"n": "b", "v": 2, "t": 0})),
                ("1970", pack(second, time_=12345)), ("milliseconds", pack(second, time_=NOW * 1000)),
                ("too long ago", pack(second, time_=1000000000)), ("future", pack(second, time_=NOW + 90000)),
                ("not a record", b"[" * 100000), ("not JSON", pack({"n": "a\x01", "v": 1}).replace(b"\\u0001", b"\x01"))]:
            with self.subTest(body[:100]):
                if not body or b"urn" not in body:
                    self.assertEqual(self.status(body), 400)
                    self.assertIn(reason, self.platform.refused()[-1]["reason"])
                else:
                    self.assertIn(reason, self.refusal(body))

    def test_the_same_name_at_another_time_is_fine(self):
        self.assertEqual(self.status(pack({"n": "a", "v": 1}, {"n": "a", "v": 1, "t": 1}, {"n": "a", "v": 1, "t": 1.5})), 202)

    def test_white_space_is_taken_and_counted(self):
        self.assertEqual(self.status(pack({"n": "a", "v": 1}) + b"\n"), 202)
        self.assertEqual(self.status(pack({"n": "a", "vs": "with space"})), 202)
        self.assertEqual(self.platform.stats()["white_space_packs"], 1)


class Rfc(SimulatorCase):
    options = ("--rfc", "--oldest", "1e9")

    def setUp(self):
        super().setUp()
        self.platform.control("POST", "/devices", {"id": "=urn:dev:ow:10e2073a01080063:", "secret": SECRET})

    def resolved(self, records):
        self.assertEqual(self.status(json.dumps(records, separators=(",", ":")).encode()), 202, self.platform.refused())
        return [(r["name"], r["unit"], r["time"], r["value"]) for r in self.platform.accepted()]

    def test_the_example_of_section_5_1_2_resolves_as_printed(self):
        base = {"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1.276020076001e+09, "bu": "A", "bver": 5}
        records = [{**base, "n": "voltage", "u": "V", "v": 120.1}] + [
            {"n": "current", "t": t, "v": v} for t, v in [(-5, 1.2), (-4, 1.3), (-3, 1.4), (-2, 1.5), (-1, 1.6)]
        ] + [{"n": "current", "v": 1.7}]
        time_ = 1276020076.001
        self.assertEqual(self.resolved(records), [("voltage", "V", time_, 120.1)] + [
            ("current", "A", time_ + t, v) for t, v in [(-5, 1.2), (-4, 1.3), (-3, 1.4), (-2, 1.5), (-1, 1.6), (0, 1.7)]])

    def test_base_fields_hold_until_they_come_again_and_base_values_add_up(self):
        records = [{"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1320078429, "bu": "/", "bv": 10, "n": "a", "v": 1},
                   {"n": "b", "v": -10}, {"bu": "Cel", "bv": 0, "n": "c", "v": 5}, {"n": "d", "u": "V", "v": 6}]
        self.assertEqual([r[:2] + r[3:] for r in self.resolved(records)],
                         [("a", "/", 11), ("b", "/", 0), ("c", "Cel", 5), ("d", "V", 6)])

    def test_a_version_beyond_ours_is_refused(self):
        base = {"bn": "urn:dev:ow:10e2073a01080063:", "n": "a", "v": 1}
        for version, status in [(10, 202), (26, 202), (11, 400), (0, 400), (42, 400)]:
            body = json.dumps([{**base, "bver": version}]).encode()
            self.assertEqual(self.status(body), status, version)


class Downlinks(SimulatorCase):
    def test_they_are_handed_out_in_order_one_an_answer_to_their_device_only(self):
        self.platform.downlink(U, [{"n": "setpoint", "v": 21}])
        self.platform.control("POST", "/downlinks", {"device": "boiler", "body": "no json", "status": 202})
        theirs = pack({"n": "a", "v": 1}, base=f"urn:dev:DVNUUID:{OTHER}:")
        self.assertEqual(self.platform.post(theirs, secret=SECRET[::-1])[3], b"")
        self.assertEqual(self.platform.post(b"[]", secret=SECRET)[3], b"")
        first, second, third = (self.platform.post(pack({"n": "a", "v": i}), secret=SECRET) for i in range(3))
        self.assertEqual((first[0], json.loads(first[3])), (200, [{"bn": BASE, "n": "setpoint", "v": 21}]))
        self.assertEqual((second[0], second[3]), (202, b"no json"))
        self.assertEqual((third[0], third[3]), (202, b""))
        self.assertEqual(len(self.platform.control("GET", "/downlinks")["handed_over"]), 2)


class Behaviours(SimulatorCase):
    body = pack({"n": "a", "v": 1})

    def test_statuses_are_played_as_often_as_asked(self):
        for status in (400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504):
            self.platform.behave(status=status, retry_after=7, count=2)
            answers = [self.platform.post(self.body, secret=SECRET) for _ in range(3)]
            self.assertEqual([a[0] for a in answers], [status, status, 202])
            self.assertEqual(answers[0][2]["Retry-After"], "7")
        self.platform.behave(status=307, location="https://127.0.0.1:1/")
        self.assertEqual(self.platform.post(self.body, secret=SECRET)[2]["Location"], "https://127.0.0.1:1/")

    def test_a_behaviour_for_one_device_leaves_the_others_alone(self):
        self.platform.behave(status=503, device=OTHER, count=0)
        self.assertEqual(self.status(self.body), 202)
        theirs = pack({"n": "a", "v": 1}, base=f"urn:dev:DVNUUID:{OTHER}:")
        self.assertEqual(self.platform.post(theirs, secret=SECRET[::-1])[0], 503)

    def test_broken_answers_are_broken_and_take_the_pack_or_not_as_documented(self):
        for kind, taken, error in [("close", 0, http.client.RemoteDisconnected), ("reset", 0, ConnectionResetError),
                                   ("lost", 1, http.client.RemoteDisconnected), ("garbage", 0, http.client.BadStatusLine),
                                   ("truncated", 1, http.client.IncompleteRead)]:
            with self.subTest(kind):
                self.platform.control("POST", "/clear")
                self.platform.behave(kind=kind)
                with self.assertRaises(error):
                    self.platform.post(self.body, secret=SECRET)
                self.assertEqual(self.platform.count(), taken)
                self.assertEqual(self.status(self.body), 202)

    def test_silence_and_slowness(self):
        self.platform.behave(kind="silent")
        with self.assertRaises(TimeoutError):
            self.platform.post(self.body, secret=SECRET, connection=self.platform.connect(timeout=0.3))
        self.platform.behave(kind="drip", drip_ms=2)
        self.assertEqual(self.status(self.body), 202)
        self.platform.behave(kind="accept", delay_ms=200, body="x" * 1000)
        begin = time.monotonic()
        self.assertEqual(self.platform.post(self.body, secret=SECRET)[3], b"x" * 1000)
        self.assertGreaterEqual(time.monotonic() - begin, 0.19)

    def test_an_outage_refuses_connections_and_ends(self):
        connection = self.platform.connect()
        self.assertEqual(self.status(self.body, connection=connection), 202)
        self.platform.behave(kind="down")
        with self.assertRaises(ConnectionRefusedError):
            self.status(self.body)
        connection.auto_open = 0
        with self.assertRaises((http.client.HTTPException, OSError)):
            self.status(self.body, connection=connection)
        with socket.socket() as stranger, self.assertRaises(OSError):
            stranger.bind(("127.0.0.1", self.platform.port))  # the port stays the platform's own
        self.platform.behave(kind="up")
        self.assertEqual(self.status(self.body), 202)

    def test_two_requests_of_one_device_at_once_are_counted(self):
        self.platform.behave(kind="silent")
        slow = self.platform.connect(timeout=5)
        slow.request("POST", PATH, self.body, {"Things-Message-Token": token(self.body, SECRET)})
        wait_until(lambda: self.platform.stats()["played"] == 1, "the first request has arrived")
        self.assertEqual(self.status(self.body), 202)
        self.assertEqual(self.platform.stats()["overlapping_requests"], 1)
        slow.close()


class Memory(SimulatorCase):
    options = ("--keep", "10")

    def test_the_newest_are_kept_and_all_are_counted_and_stored(self):
        for i in range(5):
            self.status(pack(*({"n": "a", "v": i * 5 + k, "t": k} for k in range(5)), time_=NOW + i * 10))
        self.assertEqual([r["value"] for r in self.platform.accepted()], list(range(15, 25)))
        self.assertEqual(self.platform.control("GET", "/accepted/count")["total"], 25)
        lines = [line.split("\t") for line in self.platform.store.read_text().splitlines()]
        self.assertEqual([float(line[6]) for line in lines], list(range(25)))
        self.assertEqual(lines[0][2:4], [U, "a"])
        self.assertEqual([r["value"] for r in self.platform.accepted(since=23)], [23, 24])
        self.assertEqual(self.platform.newest(name="a")["value"], 24)
        self.assertEqual(self.platform.count(name="b"), 0)


class Program(unittest.TestCase):
    program = BUILD / "tests/simulator/things-simulator"

    def test_usage_and_a_prompt_end(self):
        self.assertEqual(subprocess.run([self.program, "--help"], capture_output=True).returncode, 0)
        self.assertEqual(subprocess.run([self.program, "--nonsense"], capture_output=True).returncode, 64)
        self.assertEqual(subprocess.run([self.program, "--device", "x"], capture_output=True).returncode, 64)
        self.assertEqual(subprocess.run([self.program, "--devices", "/nowhere"], capture_output=True).returncode, 1)
        with tempfile.TemporaryDirectory() as folder:
            platform = Simulator(folder)
            idle = platform.connect()
            idle.connect()
            begin = time.monotonic()
            self.assertEqual(platform.stop(), 0)
            self.assertLess(time.monotonic() - begin, 2)
            idle.close()

    def test_devices_come_from_csv_in_any_order_of_columns(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "devices.csv"
            path.write_text(f"name,secret,dvnuuid\nboiler,{SECRET},{U}\n")
            with Simulator(folder, options=("--devices", str(path))) as platform:
                self.assertEqual(platform.post(pack({"n": "a", "v": 1}), secret=SECRET)[0], 202)
                self.assertEqual(platform.control("GET", "/devices")["devices"][0]["name"], "boiler")

    def test_flawed_certificates_are_refused_by_a_careful_client(self):
        for flaw in ("expired", "not-yet-valid", "other-host", "self-signed"):
            with self.subTest(flaw), tempfile.TemporaryDirectory() as folder:
                with Simulator(folder, options=("--certificate", flaw)) as platform:
                    with self.assertRaises(ssl.SSLCertVerificationError):
                        platform.post(b"[]", secret=SECRET)
                    # With TLS 1.3 the server hears of the refusal after its side of the handshake.
                    self.assertEqual(platform.stats()["requests"], 0)


if __name__ == "__main__":
    main()
