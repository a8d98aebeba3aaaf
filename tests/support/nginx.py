# SPDX-License-Identifier: Apache-2.0
"""A real server in front of the simulator: Debian's nginx ends TLS, speaks HTTP/2, hands each request on.

    with Nginx(folder, platform, *ca.issue("127.0.0.1")) as front:
        front.url
        front.configure(server="keepalive_requests 5;", location="client_max_body_size 1k;")   # and reload
        front.kill(); front.start()"""

import gzip
import os
import pathlib
import signal
import subprocess

from support.gateway import free_port
from support.simulator import PATH, wait_until

CONFIG = """\
daemon off; pid {folder}/pid; error_log {folder}/error.log; user {user}; worker_processes 2;
events {{ }}
http {{
  access_log {folder}/access.log combined; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port} ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key};
    {server}
    location / {{ {location} {handler} }}
    location = /bomb {{ internal; root {folder}; add_header Content-Encoding gzip always; }}
  }}
}}
"""
PASS_ON = "proxy_pass https://127.0.0.1:{platform};"
# 202 with a body of 4 MB that is 1 GB when it is unpacked; the platform never sees the pack.
BOMB = "root {folder}/none; error_page 404 405 =202 /bomb;"


class Nginx:
    def __init__(self, folder, platform, certificate, key):
        self.folder = pathlib.Path(folder) / "nginx"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        with gzip.open(self.folder / "bomb", "wb", compresslevel=1) as bomb:
            for _ in range(1000):
                bomb.write(bytes(1_000_000))
        self.names = {"folder": self.folder, "port": free_port(), "platform": platform.port, "path": PATH,
                      "certificate": certificate, "key": key, "user": pathlib.Path("/proc/self").owner()}
        self.url = f"https://127.0.0.1:{self.names['port']}{PATH}"
        self.process = None
        self.write()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def write(self, server="", location="", handler=PASS_ON):
        text = CONFIG.format(server=server, location=location, handler=handler.format(**self.names), **self.names)
        (self.folder / "nginx.conf").write_text(text)

    def start(self):
        self.process = subprocess.Popen(["nginx", "-p", self.folder, "-c", self.folder / "nginx.conf"], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until((self.folder / "pid").exists, "nginx runs")

    def configure(self, **parts):
        """Old workers finish what they have; new requests meet the new settings."""
        self.write(**parts)
        self.process.send_signal(signal.SIGHUP)

    def kill(self):
        """At once, in the middle of what it does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        (self.folder / "pid").unlink(missing_ok=True)

    def requests(self):
        """(status, HTTP version) of each answer."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [(int(line.split('"')[2].split()[0]), line.split('"')[1].split()[-1]) for line in lines if '"POST' in line]
