# SPDX-License-Identifier: Apache-2.0
"""A TLS server that should not be trusted, and what it got to know all the same. Standard library only.

    with FlawedServer(certificate, key) as server:
        server.port, server.calls, server.learned     # decrypted bytes that clients sent it
"""

import ssl

from support.listener import Listener


class FlawedServer(Listener):
    def __init__(self, certificate=None, key=None, newest=None, address=("127.0.0.1", 0), answer=b""):
        """Without a certificate: plain TCP. `newest`: of TLS, an ssl.TLSVersion. `answer`: to whatever is sent."""
        self.handshakes, self.learned, self.answer, self.context = 0, b"", answer, None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if newest:
                self.context.minimum_version = ssl.TLSVersion.TLSv1
                self.context.maximum_version = newest
                self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.load_cert_chain(certificate, key)
        super().__init__(address)

    def serve(self, client):
        client.settimeout(20)
        try:
            stream = self.context.wrap_socket(client, server_side=True) if self.context else client
            self.handshakes += 1
            with stream:
                while data := stream.recv(65536):
                    self.learned += data
                    if self.answer:
                        stream.sendall(self.answer)
        except OSError:
            client.close()
