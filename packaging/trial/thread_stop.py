# SPDX-License-Identifier: Apache-2.0
"""Stops one thread of another process and leaves the others running, as a thread that hangs would. Root only."""

import ctypes
import os
import pathlib
import signal

SEIZE, INTERRUPT = 0x4206, 0x4207
WAIT_ALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4


class StoppedThread:
    def __init__(self, pid, name):
        """The thread called `name` stands still from now on, until its process is killed."""
        tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
        self.pid = pid
        self.tid = next(int(task.name) for task in tasks if (task / "comm").read_text().strip() == name)
        for request in (SEIZE, INTERRUPT):
            if libc.ptrace(request, self.tid, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), f"ptrace of {name}")

    def kill(self):
        """Ends the whole process; else nothing it belongs to could end while the thread stands still."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.tid, WAIT_ALL)

    def is_gone(self):
        """Collects what the kernel has to tell; its process can only end once we have."""
        try:
            tid, status = os.waitpid(self.tid, os.WNOHANG | WAIT_ALL)
        except ChildProcessError:
            return True
        return tid != 0 and not os.WIFSTOPPED(status)
