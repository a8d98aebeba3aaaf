# SPDX-License-Identifier: Apache-2.0
"""A DNS server for one name that does what a test tells it. UDP only, standard library only.

    with NameServer(WORLD) as names:
        names.answer = "10.77.0.1"                # an address (or several), or one of
        names.answer = "nxdomain" | "servfail" | "silent" | "refused" | "garbage" | "empty"
        names.delay = 3.0
"""

import ipaddress
import socket
import struct
import threading

CODES = {"nxdomain": 3, "servfail": 2, "refused": 5, "empty": 0}
TYPES = {4: 1, 6: 28}


class NameServer:
    def __init__(self, address, port=53):
        self.answer, self.delay, self.asked = "nxdomain", 0.0, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.is_closing = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_closing = True
        self.socket.close()

    def serve(self):
        while not self.is_closing:
            try:
                query, client = self.socket.recvfrom(2048)
            except OSError:
                return
            self.asked += 1
            reply = self.reply(query)
            if reply is None:
                continue
            threading.Timer(self.delay, self.send, (reply, client)).start()

    def send(self, reply, client):
        try:
            self.socket.sendto(reply, client)
        except OSError:
            pass

    def reply(self, query):
        if self.answer == "silent" or len(query) < 17:
            return None
        if self.answer == "garbage":
            return query[:2] + b"\xff" * 40
        code, names = 0, [self.answer] if isinstance(self.answer, str) else list(self.answer)
        if names[0] in CODES:
            code, names = CODES[names[0]], []
        end = query.index(b"\0", 12) + 5
        kind, = struct.unpack(">H", query[end - 4:end - 2])
        addresses = [ipaddress.ip_address(name) for name in names]
        records = [struct.pack(">HHHIH", 0xC00C, TYPES[a.version], 1, 1, len(a.packed)) + a.packed
                   for a in addresses if TYPES[a.version] == kind]
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(records), 0, 0)
        return head + query[12:end] + b"".join(records)
