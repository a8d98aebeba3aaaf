# SPDX-License-Identifier: Apache-2.0
"""A Modbus TCP server in the test's own process: registers a test can set and watch, faults, and a counter that gives
every read a value of its own, so that a lost reading can be named. Standard library only; shares no code with the plugin.

    with ModbusServer() as plc:
        plc.holding[100] = 205
        plc.count_at(0)            # holding 0 and 1: a uint32 that grows by one with every read of it
        plc.reads, plc.writes      # what was asked
        plc.talk(200)              # the same of one register or coil, as ["reads 20", "writes 21"]
"""

import dataclasses
import socketserver
import struct
import threading
import time

COILS, DISCRETE, HOLDING, INPUT = 1, 2, 3, 4


@dataclasses.dataclass
class Read:
    """One read of a counter."""
    served: float  # monotonic time of the answer
    wall: float
    unit: int
    address: int
    value: int
    connection: int = 0  # the how manieth connection it came over
    taken: float = None  # when the same connection asked for the next thing: by then the answer had been taken
    asked: float = None  # before this the request was not sent: end of the answer before it; None: first of a connection


class ModbusServer:
    def __init__(self, port=0):
        self.holding = [0] * 65536
        self.input = [0] * 65536
        self.coils = [False] * 65536
        self.discrete = [False] * 65536
        self.counters = {}  # address of the first of two holding registers -> next value, by unit
        self.reads = []  # every Read, in order
        self.writes = []  # (monotonic time, unit, function, address, values)
        self.transcript = []  # (monotonic time, "reads" or "writes", unit, table, address, values), reads of counters apart
        self.ignores = {}  # holding register -> so many writes to it are answered and not done
        self.lags = {}  # holding register -> seconds until what was written to it shows
        self.delay = 0  # seconds before each answer
        self.requests = 0
        self.connected = 0  # connections accepted so far
        self.exception = None  # code to answer everything with
        self.is_silent = False
        self.unanswered = 0  # requests while it was silent
        self.lock = threading.Lock()
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                owner.serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.connections = set()
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(2)
            except OSError:
                pass

    def count_at(self, address):
        self.counters[address] = {}

    def set_float(self, address, value):
        self.holding[address], self.holding[address + 1] = struct.unpack(">HH", struct.pack(">f", value))

    def float_at(self, address):
        return struct.unpack(">f", struct.pack(">HH", self.holding[address], self.holding[address + 1]))[0]

    def written(self, address):
        """What was written to this holding register or coil, in order."""
        return [values[address - first] for _, _, _, first, values in list(self.writes)
                if first <= address < first + len(values)]

    def talk(self, address, table=HOLDING, unit=None):
        """What was said about one register or coil, in order and in words."""
        return [f"{verb} {values[address - first]}" for _, verb, of, where, first, values in list(self.transcript)
                if where == table and first <= address < first + len(values) and unit in (None, of)]

    def serve(self, connection):
        self.connections.add(connection)
        with self.lock:
            self.connected += 1
            number = self.connected
        given, asked = [], None
        try:
            while True:
                head = self.receive(connection, 7)
                if head is None:
                    return
                for read in given:
                    read.taken = time.monotonic()
                transaction, protocol, length, unit = struct.unpack(">HHHB", head)
                body = self.receive(connection, length - 1) if 1 < length <= 254 and protocol == 0 else None
                if body is None:
                    return
                if self.is_silent:
                    self.unanswered += 1
                    continue
                with self.lock:
                    self.requests += 1
                    before = len(self.reads)
                    answer = self.answer(unit, body)
                    given = self.reads[before:]
                for read in given:
                    read.asked, read.connection = asked, number
                if self.delay:
                    time.sleep(self.delay)
                asked = time.monotonic()  # before it is sent: the next request may follow at once
                connection.sendall(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
        except OSError:
            pass
        finally:
            self.connections.discard(connection)
            connection.close()

    @staticmethod
    def receive(connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                return None
            data += more
        return data

    def answer(self, unit, body):
        function = body[0]
        if self.exception:
            return bytes([function | 0x80, self.exception])
        address, = struct.unpack(">H", body[1:3])
        if function in (COILS, DISCRETE):
            count, = struct.unpack(">H", body[3:5])
            table = self.coils if function == COILS else self.discrete
            bits = table[address:address + count]
            self.note("reads", unit, function, address, [int(bit) for bit in bits])
            packed = bytearray((count + 7) // 8)
            for i, bit in enumerate(bits):
                packed[i // 8] |= bit << (i % 8)
            return bytes([function, len(packed)]) + packed
        if function in (HOLDING, INPUT):
            count, = struct.unpack(">H", body[3:5])
            if not 1 <= count <= 125 or address + count > 65536:
                return bytes([function | 0x80, 3 if count > 125 else 2])
            if function == HOLDING:
                self.step_counters(unit, address, count)
            table = self.holding if function == HOLDING else self.input
            if not self.counters or function == INPUT:
                self.note("reads", unit, function, address, table[address:address + count])
            return bytes([function, count * 2]) + struct.pack(f">{count}H", *table[address:address + count])
        return self.write(unit, function, address, body)

    def note(self, verb, unit, table, address, values):
        self.transcript.append((time.monotonic(), verb, unit, table, address, values))

    def set(self, address, values):
        """Carries a write to holding registers out, as far as this device is told to."""
        if self.ignores.get(address, 0) > 0:
            self.ignores[address] -= 1
        elif address in self.lags:
            timer = threading.Timer(self.lags[address], lambda: self.holding.__setitem__(slice(address, address + len(values)), values))
            timer.daemon = True
            timer.start()
        else:
            self.holding[address:address + len(values)] = values

    def step_counters(self, unit, address, count):
        for first, next_values in self.counters.items():
            if address <= first and first + 1 < address + count:
                value = next_values[unit] = next_values.get(unit, 0) + 1
                self.holding[first], self.holding[first + 1] = value >> 16, value & 0xFFFF
                self.reads.append(Read(time.monotonic(), time.time(), unit, first, value))

    def write(self, unit, function, address, body):
        if function == 5:
            values = [body[3] == 0xFF]
            self.coils[address] = values[0]
            answer = body
        elif function == 6:
            values = [struct.unpack(">H", body[3:5])[0]]
            self.set(address, values)
            answer = body
        elif function == 15:
            count, = struct.unpack(">H", body[3:5])
            values = [bool(body[6 + i // 8] >> (i % 8) & 1) for i in range(count)]
            self.coils[address:address + count] = values
            answer = body[:5]
        elif function == 16:
            count, = struct.unpack(">H", body[3:5])
            values = list(struct.unpack(f">{count}H", body[6:6 + 2 * count]))
            self.set(address, values)
            answer = body[:5]
        else:
            return bytes([function | 0x80, 1])
        self.writes.append((time.monotonic(), unit, function, address, values))
        self.note("writes", unit, COILS if function in (5, 15) else HOLDING, address, [int(value) for value in values])
        return answer
