# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that knows CONNECT only. Standard library only.

    with ConnectProxy() as proxy:
        proxy.port, proxy.asked       # what it was asked to connect to, in order
        proxy.refusal = 407           # instead of connecting
"""

import socket
import threading

from support.listener import Listener


class ConnectProxy(Listener):
    def __init__(self, host="127.0.0.1"):
        self.refusal, self.asked, self.heads = None, [], []
        super().__init__((host, 0))

    def serve(self, client):
        with client:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    more = client.recv(4096)
                    if not more:
                        return
                    head += more
                self.heads.append(head)
                method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
                if method != "CONNECT" or self.refusal:
                    client.sendall(f"HTTP/1.1 {self.refusal or 405} No\r\nContent-Length: 0\r\n\r\n".encode())
                    return
                self.asked.append(target)
                host, port = target.rsplit(":", 1)
                with socket.create_connection((host.strip("[]"), int(port))) as server:
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    threading.Thread(target=self.copy, args=(server, client), daemon=True).start()
                    self.copy(client, server)
            except (OSError, ValueError):
                pass

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
