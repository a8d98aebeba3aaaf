# SPDX-License-Identifier: Apache-2.0
"""Runs things-simulator for tests and for the demo, and talks to its control port. Standard library only.

    with Simulator(folder, [{"dvnuuid": U, "secret": S, "name": "boiler"}]) as platform:
        platform.url, platform.ca_file           # for the gateway's configuration
        platform.accepted(device=U)              # readings, as dictionaries
        platform.behave(kind="status", status=503, count=0)
"""

import hashlib
import http.client
import json
import os
import pathlib
import signal
import ssl
import subprocess
import time
import urllib.parse
import uuid

BUILD = pathlib.Path(os.environ.get("THINGS_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
PATH = "/ingestion/ip/senml/v1"


def wait_until(condition, what, seconds=20.0, step=0.02):
    """The first truthy value of condition(); AssertionError with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds:g} s still not: {what}")
        time.sleep(step)


def numbered(count, secret):
    """Devices d1, d2 ... whose DvnUUIDs end in their number."""
    return [{"dvnuuid": str(uuid.UUID(int=number + (4 << 76) + (8 << 60))), "secret": secret, "name": f"d{number}"}
            for number in range(1, count + 1)]


def token(body, secret):
    return hashlib.sha256(body + secret.encode()).hexdigest()


class Simulator:
    def __init__(self, folder, devices=(), options=(), output=subprocess.DEVNULL):
        self.folder = pathlib.Path(folder) / "platform"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file = self.folder / "ca.pem"
        self.store = self.folder / "accepted.tsv"
        self.devices = list(devices)
        self.secrets = {d["dvnuuid"]: d["secret"] for d in self.devices}
        devices_file = self.folder / "devices.json"
        devices_file.write_text(json.dumps(self.devices))
        ready = self.folder / "ready"
        ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [BUILD / "tests/simulator/things-simulator", "--devices", devices_file, "--ca-out", self.ca_file,
             "--port-file", self.folder / "port", "--control-port-file", self.folder / "control", "--ready-file", ready,
             "--store", self.store, *options],
            stdin=subprocess.DEVNULL, stdout=output)
        try:
            wait_until(lambda: ready.exists() or self.process.poll() is not None, "the simulator listens")
            if self.process.poll() is not None:
                raise AssertionError(f"the simulator ended with {self.process.returncode}")
        except BaseException:
            self.stop()
            raise
        self.port = int((self.folder / "port").read_text())
        self.control_port = int((self.folder / "control").read_text())
        self.url = f"https://127.0.0.1:{self.port}{PATH}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    # The control port.
    def control(self, method, path, body=None, expect=200, **query):
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=30)
        try:
            query = {key: value for key, value in query.items() if value is not None}
            data = None if body is None else json.dumps(body)
            connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), data)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != expect:
                raise AssertionError(f"{method} {path}: {answer.status} {text}")
            return json.loads(text)
        finally:
            connection.close()

    def accepted(self, **query):
        """All kept readings that fit (device, name, since, from, until), oldest first."""
        readings, since = [], query.pop("since", 0)
        while True:
            page = self.control("GET", "/accepted", since=since, limit=50000, **query)
            readings += page["readings"]
            if len(page["readings"]) < 50000:
                return readings
            since = page["next"]

    def kept(self):
        """(arrived, dvnuuid, name, time, value as text) of every accepted reading in order of arrival, from the file, which
        is there after the simulator went too."""
        with open(self.store) as lines:
            for line in lines:
                if not line.endswith("\n"):
                    return  # being written
                _, arrived, device, name, time_, _, value = line.rstrip("\n").split("\t")
                yield float(arrived), device, name, float(time_), value

    def newest(self, **query):
        found = self.control("GET", "/accepted", newest=1, limit=1, **query)["readings"]
        return found[0] if found else None

    def count(self, **query):
        return self.control("GET", "/accepted/count", **query)["readings"]

    def stats(self):
        return self.control("GET", "/stats")

    def refused(self):
        return self.control("GET", "/refused")["refused"]

    def downlink(self, device, records, **more):
        return self.control("POST", "/downlinks", {"device": device, "pack": records, **more})["ids"]

    def behave(self, **behaviour):
        self.control("POST", "/behaviour", behaviour)

    def behave_well(self):
        self.control("DELETE", "/behaviour")
        self.behave(kind="up")

    # A client of its own, to test the simulator itself.
    def connect(self, timeout=10):
        context = ssl.create_default_context(cafile=self.ca_file)
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=timeout)

    def post(self, body, token_text=None, secret=None, headers=None, path=PATH, method="POST", connection=None):
        """Posts raw bytes; (status, reason, headers, body). Signs with `secret` unless given a token."""
        own = connection or self.connect()
        try:
            all_headers = {"Things-Message-Token": token_text or token(body, secret or ""),
                           "Content-Type": "application/json", **(headers or {})}
            own.request(method, path, body, {k: v for k, v in all_headers.items() if v is not None})
            answer = own.getresponse()
            return answer.status, answer.reason, dict(answer.getheaders()), answer.read()
        finally:
            if connection is None:
                own.close()
