# SPDX-License-Identifier: Apache-2.0
"""The gateway's control socket: HTTP on a Unix socket, a verb per path."""

import http.client
import json
import socket


class Control(http.client.HTTPConnection):
    def __init__(self, path, timeout=20):
        super().__init__("gateway", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, verb, **arguments):
        """The last line of the answer: {"done": true, "ok": ...}."""
        self.request("POST", "/v1/" + verb.replace(" ", "/"), json.dumps(arguments))
        return json.loads(self.getresponse().read().splitlines()[-1])
