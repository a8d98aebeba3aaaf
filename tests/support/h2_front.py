# SPDX-License-Identifier: Apache-2.0
"""A TLS front that speaks HTTP/2 and hands each request on to the simulator, with the faults only HTTP/2 has. Needs
python3-h2.

    with H2Front(platform, *ca.issue("127.0.0.1")) as front:
        front.url, front.streams           # requests answered, in all connections
        front.fault = lambda number: None | "goaway" | "goaway_unseen" | "reset" | "reset_after" | "early" | "cut"
"""

import http.client
import socket
import ssl
import sys
import threading

sys.path.append("/usr/lib/python3/dist-packages")  # Debian's, where another interpreter runs this

from support.listener import Listener  # noqa: E402
from support.simulator import PATH  # noqa: E402


class H2Front(Listener):
    """Faults, for the request of that number:
    goaway         it is answered, and the connection said to be ending
    goaway_unseen  the connection ends before it is handed on, with GOAWAY naming it as not seen
    reset          the stream is reset before it is handed on (REFUSED_STREAM)
    reset_after    the platform has taken it, then the stream is reset in place of an answer
    early          answered with the status before its body was read, then reset with NO_ERROR
    cut            the platform has taken it, 202 is sent, the TCP connection breaks in place of the end"""

    def __init__(self, platform, certificate, key, host="127.0.0.1"):
        self.platform, self.fault, self.streams, self.lock = platform, lambda number: None, 0, threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(["h2"])
        self.played = []
        super().__init__((host, 0))
        self.url = f"https://{host}:{self.port}{PATH}"

    def serve(self, client):
        import h2.config
        import h2.connection
        import h2.events
        try:
            with self.context.wrap_socket(client, server_side=True) as stream:
                h2c = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
                h2c.initiate_connection()
                stream.sendall(h2c.data_to_send())
                requests = {}
                while data := stream.recv(65536):
                    for event in h2c.receive_data(data):
                        if isinstance(event, h2.events.RequestReceived):
                            with self.lock:
                                self.streams += 1
                                number = self.streams
                            fault = self.fault(number)
                            self.played.append(fault)
                            requests[event.stream_id] = (dict(event.headers), bytearray(), fault)
                            if fault == "early":
                                h2c.send_headers(event.stream_id, [(":status", "503")], end_stream=True)
                                h2c.reset_stream(event.stream_id, 0)
                        elif isinstance(event, h2.events.DataReceived):
                            h2c.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                            requests[event.stream_id][1].extend(event.data)
                        elif isinstance(event, h2.events.StreamEnded):
                            if not self.answer(h2c, stream, event.stream_id, *requests.pop(event.stream_id)):
                                return
                    stream.sendall(h2c.data_to_send())
        except (OSError, http.client.HTTPException):
            pass

    def answer(self, h2c, stream, number, headers, body, fault):
        """False: the connection is over."""
        if fault == "early":
            return True
        if fault == "reset":
            h2c.reset_stream(number, 7)
            return True
        if fault == "goaway_unseen":
            h2c.close_connection(last_stream_id=max(number - 2, 0))
            stream.sendall(h2c.data_to_send())
            return False
        status, text = self.hand_on(headers, bytes(body))
        if fault == "reset_after":
            h2c.reset_stream(number, 2)
            return True
        h2c.send_headers(number, [(":status", str(status))], end_stream=not text and fault != "cut")
        if fault == "cut":
            stream.sendall(h2c.data_to_send())
            stream.shutdown(socket.SHUT_RDWR)
            return False
        if text:
            h2c.send_data(number, text, end_stream=True)
        if fault == "goaway":
            h2c.close_connection(last_stream_id=number)
            stream.sendall(h2c.data_to_send())
            return False
        return True

    def hand_on(self, headers, body):
        connection = self.platform.connect()
        try:
            names = ("things-message-token", "content-type")
            connection.request(headers[":method"], headers[":path"], body, {n: headers[n] for n in names if n in headers})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
