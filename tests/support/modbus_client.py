# SPDX-License-Identifier: Apache-2.0
"""A Modbus TCP client in a few lines, to look at a device from outside the gateway. Standard library only."""

import socket
import struct


class ModbusClient:
    """One connection; every call raises OSError if the device does not answer, ValueError if it says no."""

    def __init__(self, port, host="127.0.0.1", unit=1, timeout=5):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unit = unit
        self.transaction = 0

    def close(self):
        self.socket.close()

    def ask(self, function, payload):
        self.transaction = (self.transaction + 1) & 0xFFFF
        self.socket.sendall(struct.pack(">HHHBB", self.transaction, 0, len(payload) + 2, self.unit, function) + payload)
        transaction, _, length, _ = struct.unpack(">HHHB", self.receive(7))
        body = self.receive(length - 1)
        if transaction != self.transaction or body[0] & 0x7F != function:
            raise ValueError("the answer belongs to another request")
        if body[0] & 0x80:
            raise ValueError(f"exception {body[1]}")
        return body[1:]

    def receive(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the device closed the connection")
            data += more
        return data

    def read_holding(self, address, count=1):
        return list(struct.unpack(f">{count}H", self.ask(3, struct.pack(">HH", address, count))[1:]))

    def write_holding(self, address, values):
        self.ask(16, struct.pack(f">HHB{len(values)}H", address, len(values), 2 * len(values), *values))

    def read_coil(self, address):
        return bool(self.ask(1, struct.pack(">HH", address, 1))[1] & 1)

    def read_float(self, address):
        return struct.unpack(">f", struct.pack(">HH", *self.read_holding(address, 2)))[0]

    def write_float(self, address, value):
        self.write_holding(address, struct.unpack(">HH", struct.pack(">f", value)))
