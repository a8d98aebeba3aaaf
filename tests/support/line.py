# SPDX-License-Identifier: Apache-2.0
"""The device's end of a serial line (a pty pair) or of a serial server (TCP, as ser2net does it). Bytes leave at the pace
of the wire; what finds the reader's buffer full is lost, as there. Standard library only.

    with SerialLine(baud=9600) as line:        # the gateway opens line.path
        line.send(b"...")
        line.read_until(b"\\r\\n")
"""

import os
import select
import socket
import termios
import time
import tty


class Line:
    """What both have in common: `baud` bits a second, ten a character."""

    def __init__(self, baud):
        self.baud = baud
        self.lost = 0  # bytes that were sent and found no room
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        """Returns when the last byte has left, as late as a wire of this speed would."""
        begin, sent = time.monotonic(), 0
        while sent < len(data):
            due = min(len(data), int((time.monotonic() - begin) * self.baud / 10) + 1)
            if due > sent:
                self.lost += due - sent - self.put(data[sent:due])
                sent = due
            else:
                time.sleep(160 / self.baud)  # as long as a UART's 16 bytes take

    def read_until(self, end, seconds=10):
        """Everything received up to and with `end`; AssertionError if it does not come."""
        limit = time.monotonic() + seconds
        while end not in self.received:
            if time.monotonic() > limit:
                raise AssertionError(f"{end!r} did not come, but {self.received!r}")
            self.received += self.get(0.05)
        head, self.received = self.received.split(end, 1)
        return head + end


class SerialLine(Line):
    def __init__(self, baud=115200):
        super().__init__(baud)
        self.device, self.keeper = os.openpty()
        tty.setraw(self.keeper)
        os.set_blocking(self.device, False)
        self.path = os.ttyname(self.keeper)

    def close(self):
        for descriptor in (self.device, self.keeper):
            if descriptor is not None:
                os.close(descriptor)
        self.device = self.keeper = None

    def settings(self):
        """What the reader set: (baud, whether it checks parity). A pty keeps neither data bits nor parity itself."""
        iflag, _, _, _, _, speed, _ = termios.tcgetattr(self.keeper)
        speeds = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[:1] == "B" and name[1:].isdigit()}
        return speeds[speed], bool(iflag & termios.INPCK)

    def put(self, data):
        try:
            return os.write(self.device, data)
        except BlockingIOError:
            return 0

    def get(self, seconds):
        if not select.select([self.device], [], [], seconds)[0]:
            return b""
        return os.read(self.device, 4096)


class TcpLine(Line):
    """One client at a time; bytes sent while there is none are lost."""

    def __init__(self, baud=115200):
        super().__init__(baud)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.port = self.server.getsockname()[1]
        self.client = None

    def close(self):
        self.hang_up()
        self.server.close()

    def hang_up(self):
        if self.client:
            self.client.close()
        self.client = None

    def is_open(self):
        try:
            client, _ = self.server.accept()
            self.hang_up()
            self.client = client
            self.client.setblocking(False)
        except BlockingIOError:
            pass
        return self.client is not None

    def put(self, data):
        try:
            return self.client.send(data) if self.is_open() else 0
        except (BlockingIOError, ConnectionError):
            return 0

    def get(self, seconds):
        if not self.is_open() or not select.select([self.client], [], [], seconds)[0]:
            return b""
        return self.client.recv(4096)
