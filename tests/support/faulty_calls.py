# SPDX-License-Identifier: Apache-2.0
"""The other side of faulty_calls.c: tells a running program which of its calls to files shall fail, and how.

    faults = FaultyCalls(folder)
    gateway = Gateway(folder, yaml, start=False, wrapper=faults.wrapper)
    faults.hit(3, "queue.db", SYNC, ERROR, errno.EIO)     # the third sync of the queue's files from now on
    faults.heal()
"""

import mmap
import struct

from support.simulator import BUILD

LIBRARY = BUILD / "tests/libfaulty_calls.so"
OPEN, WRITE, SYNC, TRUNCATE, UNLINK, RENAME, READ, SEND, RECEIVE = 1, 2, 4, 8, 16, 32, 64, 128, 256
NONE, ERROR, SHORT, DELAY, KILL_BEFORE, KILL_AFTER, PRETEND = range(7)
CHANGES = OPEN | WRITE | SYNC | TRUNCATE | UNLINK | RENAME
RULE = struct.Struct("<QIIIIII64s")  # at, calls, action, error, sticky, delay_ms, unused, path; behind count and hits


class FaultyCalls:
    def __init__(self, folder):
        self.path = folder / "faulty_calls"
        self.path.write_bytes(bytes(16 + RULE.size))
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.wrapper = ["env", f"LD_PRELOAD={LIBRARY}", f"THINGS_FAULTY_CALLS={self.path}"]

    def hit(self, number, path, calls, action, error=0, sticky=False, delay_ms=0):
        """The call `number` from now on (0: none, only count) to a file whose path holds `path`; a socket's is "socket:[N]"."""
        self.map[16:16 + RULE.size] = RULE.pack(0, 0, NONE, 0, 0, 0, 0, b"")
        self.map[0:16] = bytes(16)
        self.map[16:16 + RULE.size] = RULE.pack(number, calls, action, error, sticky, delay_ms, 0, path.encode())

    def heal(self):
        self.hit(0, "", 0, NONE)

    @property
    def count(self):
        """Calls of the kinds asked for since hit()."""
        return struct.unpack("<Q", self.map[0:8])[0]

    @property
    def hits(self):
        return struct.unpack("<Q", self.map[8:16])[0]
