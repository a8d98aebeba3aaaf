# SPDX-License-Identifier: Apache-2.0
"""A TCP relay that counts what a link is billed for: bytes, and the segments that carry them, acknowledgements included.
Standard library only.

    with Wire(platform.port) as wire:      # the gateway is pointed at wire.port
        wire.bytes()                       # so far, both ways, IP and TCP headers included
"""

import socket
import struct
import threading

HEADERS = 52  # IPv4 20, TCP 20, time stamps 12
SEGMENTS_OUT, SEGMENTS_IN = 136, 140  # offsets of tcpi_segs_out and tcpi_segs_in in struct tcp_info


class Wire:
    def __init__(self, target):
        self.target = target
        self.lock = threading.Lock()
        self.payload = self.ended_segments = self.connections = 0
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def bytes(self):
        with self.lock:
            segments = self.ended_segments + sum(self.segments(s) for s in self.open)
            return self.payload + HEADERS * segments

    @staticmethod
    def segments(connection):
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return sum(struct.unpack_from("=II", info, SEGMENTS_OUT))

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)  # as on a real link, not the loopback's 64 KiB
            far = socket.create_connection(("127.0.0.1", self.target))
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                self.open.add(near)
            for here, there in ((near, far), (far, near)):
                threading.Thread(target=self.relay, args=(here, there, near), daemon=True).start()

    def relay(self, here, there, near):
        try:
            while data := here.recv(65536):
                with self.lock:
                    self.payload += len(data)
                there.sendall(data)
            there.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        with self.lock:
            if near in self.open:
                self.open.discard(near)
                self.ended_segments += self.segments(near)
