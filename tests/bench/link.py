# SPDX-License-Identifier: Apache-2.0
"""What lies between the gateway and the platform: a link whose bytes take their time, and a front that speaks HTTP/2."""

import asyncio
import socket
import subprocess
import threading
import urllib.parse

from bench.rig import make_certificate
from support.gateway import free_port
from support.simulator import PATH, wait_until


class SlowLink:
    """Every byte arrives half a round trip after it was sent, in both directions; connecting costs a round trip more.
    A round trip of 0 is no link at all."""

    def __init__(self, url, rtt_ms):
        self.half, self.to = rtt_ms / 2000, urllib.parse.urlsplit(url)
        self.url, self.loop = url, None
        if rtt_ms:
            ready = threading.Event()
            self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
            self.thread.start()
            ready.wait(10)
            self.url = self.to._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.loop:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(10)

    def run(self, ready):
        self.loop = asyncio.new_event_loop()
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())  # lets them see it

    async def serve(self, reader, writer):
        await asyncio.sleep(2 * self.half)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to.port)
        for stream in (writer, far_writer):
            stream.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(self.carry(reader, far_writer), self.carry(far_reader, writer), return_exceptions=True)

    async def carry(self, reader, writer):
        while data := await reader.read(65536):
            self.loop.call_later(self.half, self.deliver, writer, data)
        self.loop.call_later(self.half, writer.close)

    @staticmethod
    def deliver(writer, data):
        if not writer.is_closing():
            writer.write(data)


class Http2:
    """nghttpx (Debian: nghttp2-proxy) before the plain platform."""

    def __init__(self, folder, backend_port):
        certificate, key = make_certificate(folder)
        port = free_port()
        self.process = subprocess.Popen(
            ["nghttpx", f"-f127.0.0.1,{port}", f"-b127.0.0.1,{backend_port}", "--no-via", "--workers=1", "--conf=/dev/null",
             "--frontend-http2-connection-window-size=1M", "--log-level=ERROR",
             f"--errorlog-file={folder}/nghttpx.log", "--accesslog-file=/dev/null", key, certificate])
        wait_until(lambda: self.answers(port), "nghttpx listens")
        self.url = f"https://127.0.0.1:{port}{PATH}"

    @staticmethod
    def answers(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
