# SPDX-License-Identifier: Apache-2.0
"""What every TCP server of the tests starts from: a port, and a thread for each client. Standard library only."""

import socket
import threading


class Listener:
    """A server says in serve(client) what it does, on that client's own thread."""

    def __init__(self, address=("127.0.0.1", 0)):
        self.calls = 0
        self.listener = socket.create_server(address)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()
