# SPDX-License-Identifier: Apache-2.0
"""A TCP relay in front of a server that breaks a connection at a byte a test names. Standard library only.

    with FaultyRelay(platform.port, lambda number: Fault("reset", up=number)) as relay:
        relay.port       # for the client
        relay.trips      # what became of each connection
"""

import dataclasses
import socket
import struct
import threading
import time


@dataclasses.dataclass
class Fault:
    """What happens once so many bytes have passed `up` (from the client) or `down`; None: not that way.

    reset   both ends are reset          close   both ends are closed
    stall   nothing passes any more      slow    one byte a second, both ways
    refuse  the client is reset at once  deaf    the client's bytes are read and lost, the server never sees them"""
    kind: str
    up: int = None
    down: int = None


@dataclasses.dataclass
class Trip:
    opened: float
    fault: Fault = None
    up: int = 0        # bytes that reached the server
    down: int = 0      # bytes that reached the client
    struck: float = 0  # when the fault began
    withheld: float = 0  # when the first byte did not pass because of it: from then on the client waits in vain
    ended: float = 0   # when the client was seen to be gone, or was sent away


class FaultyRelay:
    def __init__(self, target, fault=lambda number: None, host="127.0.0.1"):
        self.target, self.fault, self.host = target, fault, host
        self.trips, self.sockets = [], set()
        self.lock = threading.Lock()
        self.is_closing = False
        self.listener = socket.create_server((host, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_closing = True
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop_all()

    def drop_all(self):
        """What a NAT does that forgot its connections: the next byte of either end is answered with a reset."""
        with self.lock:
            for end in self.sockets:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def accept(self):
        while not self.is_closing:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                trip = Trip(time.monotonic(), self.fault(len(self.trips)))
                self.trips.append(trip)
            threading.Thread(target=self.serve, args=(client, trip), daemon=True).start()

    def serve(self, client, trip):
        server = None
        try:
            if trip.fault and trip.fault.kind == "refuse":
                return self.strike(trip, client, None)
            server = socket.create_connection(self.target if isinstance(self.target, tuple) else (self.host, self.target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets |= {client, server}
            back = threading.Thread(target=self.copy, args=(server, client, trip, "down"), daemon=True)
            back.start()
            self.copy(client, server, trip, "up")
            back.join()
        except OSError:
            pass
        finally:
            trip.ended = trip.ended or time.monotonic()
            with self.lock:
                self.sockets -= {client, server}
            for end in (client, server):
                if end:
                    end.close()

    def copy(self, source, sink, trip, direction):
        """Until either end is gone or the fault's byte has come."""
        limit = getattr(trip.fault, direction) if trip.fault else None
        try:
            while True:
                passed = getattr(trip, direction)
                if limit is not None and passed >= limit and not trip.struck:
                    if not self.strike(trip, *((source, sink) if direction == "up" else (sink, source))):
                        return
                kind = trip.fault.kind if trip.struck else None
                size = 65536 if limit is None or trip.struck else limit - passed
                data = source.recv(1 if kind == "slow" else size)
                if not data:
                    break
                if kind == "slow":
                    time.sleep(1)
                if kind == "stall" or (kind == "deaf" and direction == "up"):
                    trip.withheld = trip.withheld or time.monotonic()
                    continue
                sink.sendall(data)
                setattr(trip, direction, passed + len(data))
        except OSError:
            pass
        if direction == "up":
            trip.ended = trip.ended or time.monotonic()
        stalled = trip.struck and trip.fault.kind in ("stall", "deaf")
        if not (stalled and direction == "down"):
            try:
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def strike(self, trip, client, server):
        """The fault begins; True if bytes may go on, in its way."""
        trip.struck = time.monotonic()
        if trip.fault.kind in ("stall", "slow", "deaf"):
            return True
        trip.ended = trip.struck
        for end in (client, server):
            if not end:
                continue
            try:
                if trip.fault.kind in ("reset", "refuse"):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # A thread that still reads would keep the socket, and with it the reset, back: disconnect it.
                    socket_disconnect(end)
                else:
                    end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        return False


def socket_disconnect(end):
    """connect(2) with AF_UNSPEC: with linger 0 a reset leaves at once, whoever else waits for this socket."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    libc.connect(end.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16)
