# SPDX-License-Identifier: Apache-2.0
"""A disk for a virtual machine whose write cache is lost with the power: an NBD server on a Unix socket. What the guest
flushed survives a cut; of the rest any part may: some writes, some sectors of some, in any order. Only its first 4 KiB are
written whole or not at all: of ext4 that is the superblock, which it relies on a disk not to tear (neither does it mount nor
does e2fsck -p mend it then). Standard library only.

    with VolatileDisk(folder / "disk.sock", image_bytes) as disk:
        ...                       # a guest with -drive file=nbd+unix:///?socket=...
        disk.stop_after(3)        # the power goes after three more writes and flushes, once something is not flushed:
        disk.stopped.wait()       # end the guest then
        disk.cut(random.Random())
"""

import socket
import struct
import threading

SECTOR, WHOLE = 512, 4096
MAGIC, OPTION_MAGIC, REPLY_MAGIC = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
REQUEST, SIMPLE_REPLY = 0x25609513, 0x67446698
EXPORT_NAME, ABORT, INFO, GO = 1, 2, 6, 7
ACK, INFO_REPLY, UNSUPPORTED = 1, 3, (1 << 31) + 1
READ, WRITE, DISCONNECT, FLUSH, TRIM, ZEROES = 0, 1, 2, 3, 4, 6
FUA = 1
FLAGS = 1 | 4 | 8  # has flags, sends flush, sends FUA
INVALID = 22


class VolatileDisk:
    def __init__(self, path, image, keeps_promises=True):
        self.path = path
        self.now, self.durable = bytearray(image), bytearray(image)
        self.pending = []  # (offset, bytes) since the last flush
        self.keeps_promises = keeps_promises  # False, the planted bug: a flush is confirmed and not done
        self.flushes = self.writes = 0
        self.left = None  # writes and flushes until the power goes
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.path.unlink(missing_ok=True)

    def stop_after(self, requests):
        """After this many writes and flushes more it answers nothing any more, as soon as something is not flushed."""
        with self.lock:
            self.left = requests
            self.stopped.clear()

    def is_out(self, kind):
        """Whether the power goes with this request, which is not carried out."""
        if self.left is None or kind not in (WRITE, FLUSH):
            return False
        self.left -= 1
        return self.left < 0 and bool(self.pending)

    def cut(self, chance):
        """The power goes: what was not flushed is lost, kept, or torn. Returns how many such writes there were."""
        with self.lock:
            mode = chance.choice(["none", "all", "some writes", "some sectors"])
            for offset, data in self.pending:
                if mode == "all" or ((mode == "some writes" or offset < WHOLE) and mode != "none" and chance.random() < 0.5):
                    self.durable[offset:offset + len(data)] = data
                elif mode == "some sectors" and offset >= WHOLE:
                    for at in range(0, len(data), SECTOR):
                        if chance.random() < 0.5:
                            piece = data[at:at + SECTOR]
                            self.durable[offset + at:offset + at + len(piece)] = piece
            unflushed = len(self.pending)
            self.pending = []
            self.left = None
            self.now = bytearray(self.durable)
            return unflushed

    def flush(self):
        self.flushes += 1
        if not self.keeps_promises:
            return
        for offset, data in self.pending:
            self.durable[offset:offset + len(data)] = data
        self.pending = []

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        try:
            with connection:
                if self.negotiate(connection):
                    self.transmit(connection)
        except (OSError, EOFError):
            pass

    def negotiate(self, connection):
        connection.sendall(struct.pack(">QQH", MAGIC, OPTION_MAGIC, 1 | 2))  # fixed newstyle, no zeroes
        receive(connection, 4)
        while True:
            _, option, length = struct.unpack(">QII", receive(connection, 16))
            receive(connection, length)
            if option == EXPORT_NAME:
                connection.sendall(struct.pack(">QH", len(self.now), FLAGS))
                return True
            if option in (INFO, GO):
                export = struct.pack(">HQH", 0, len(self.now), FLAGS)
                connection.sendall(struct.pack(">QIII", REPLY_MAGIC, option, INFO_REPLY, len(export)) + export)
            kind = ACK if option in (INFO, GO, ABORT) else UNSUPPORTED
            connection.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, 0))
            if option in (GO, ABORT):
                return option == GO

    def transmit(self, connection):
        while True:
            magic, flags, kind, handle, offset, length = struct.unpack(">IHHQQI", receive(connection, 28))
            if magic != REQUEST or kind == DISCONNECT:
                return
            data = receive(connection, length) if kind == WRITE else b""
            answer, error = b"", 0
            with self.lock:
                if self.is_out(kind):
                    break
                if kind == READ:
                    answer = bytes(self.now[offset:offset + length])
                elif kind == WRITE:
                    self.writes += 1
                    self.now[offset:offset + length] = data
                    self.pending.append((offset, data))
                    if flags & FUA:
                        self.flush()
                elif kind == FLUSH:
                    self.flush()
                else:
                    error = INVALID
            connection.sendall(struct.pack(">IIQ", SIMPLE_REPLY, error, handle) + answer)
        self.stopped.set()
        while connection.recv(1 << 16):
            pass


def receive(connection, size):
    data = bytearray()
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return bytes(data)
