# SPDX-License-Identifier: Apache-2.0
"""Runs the real kpn-things-gateway for scenarios: a folder of its own, YAML as the test wrote it, READY seen through
sd_notify. Standard library only.

    with Gateway(folder, yaml) as gateway:     # started and ready
        gateway.kill()                         # -9
        gateway.start()
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from support.simulator import BUILD, wait_until

PROGRAM = BUILD / "daemon/kpn-things-gateway"
PLUGINS = BUILD / "plugins"
PROFILES = BUILD / "profiles"

# Keys every scenario needs, with the folder it runs in. A scenario adds its own sources and devices, and may repeat none
# of these sections; `things` and `batch` are given to settings().
SETTINGS = """\
things: {{url: "{url}", ca_file: {ca_file}, connect_timeout: {connect_timeout}, timeout: {timeout}, retry: {retry}{things}}}
batch: {{max_age: {max_age}{batch}}}
queue: {{path: {queue_folder}/queue.db, hot_path: {folder}/hot, commit_interval: {commit_interval}{queue}}}
time: {{{time}}}
web: {{listen: "127.0.0.1:{web_port}"}}
control: {{socket: {folder}/control.sock}}
log: {{level: debug}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def within_reach():
    """A copy of program and plugins that every user may run, as TemporaryDirectory: the tree may be in a home closed to others."""
    copy = tempfile.TemporaryDirectory(prefix="things-", dir="/var/tmp")
    folder = pathlib.Path(copy.name)
    for part, files in (("daemon", [PROGRAM]), ("plugins", PLUGINS.glob("*.so")), ("profiles", PROFILES.glob("*.yaml"))):
        (folder / part).mkdir()
        for file in files:
            shutil.copy(file, folder / part)
    shutil.copy(BUILD / "CMakeCache.txt", folder)  # by which the program knows a build tree, whose plugins are its own
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return copy


def settings(folder, platform, max_age="300ms", commit_interval="1s", things="", batch="", queue="", web_port=None, url=None,
             ca_file=None, connect_timeout="2s", timeout="5s", retry="{initial: 100ms, max: 1s}", time="require_sync: false",
             queue_folder=None):
    """The common part of a scenario's YAML."""
    return SETTINGS.format(folder=folder, url=url or platform.url, ca_file=ca_file or platform.ca_file, max_age=max_age,
                           commit_interval=commit_interval, things=things and ", " + things, retry=retry, time=time,
                           batch=batch and ", " + batch, queue=queue and ", " + queue, queue_folder=queue_folder or folder,
                           web_port=web_port or free_port(), connect_timeout=connect_timeout, timeout=timeout)


class Gateway:
    def __init__(self, folder, yaml, start=True, wrapper=(), plugins=PLUGINS, build=BUILD):
        """`wrapper`: a command that runs the command behind it, as env, strace or unshare do, in the same process.
        `plugins`: a folder of plugins, or several; `build`: where program and plugins are, if elsewhere."""
        self.program = pathlib.Path(build) / "daemon" / PROGRAM.name
        self.plugins = pathlib.Path(build) / "plugins" if plugins == PLUGINS else plugins
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "gateway.yaml"
        self.log_file = self.folder / "gateway.log"
        self.config.write_text(yaml)
        self.process = None
        self.wrapper = list(wrapper)
        self.environment = {}  # on top of this process's
        self.run_options = []  # behind `run`
        self.output = None  # a descriptor for what it says, in place of log_file
        self.notices = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.folder / "notify.sock"))
        self.notify.setblocking(False)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.notify.close()
        (self.folder / "notify.sock").unlink(missing_ok=True)

    def command(self, *arguments):
        """The command line with this configuration and these plugins."""
        folders = self.plugins if isinstance(self.plugins, tuple) else (self.plugins,)
        directories = [word for folder in folders for word in ("--plugin-dir", folder)]
        return [self.program, *arguments, "--config", self.config, *directories]

    def start(self, ready=True, seconds=15):
        """Starts `run`; returns once it said READY."""
        self.notices.clear()
        inherited = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
        environment = {**inherited, "NOTIFY_SOCKET": str(self.folder / "notify.sock"), **self.environment}
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([*self.wrapper, *self.command("run", *self.run_options)], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log if self.output is None else self.output, env=environment)
        if ready:
            wait_until(lambda: self.heard("READY=1") or self.process.poll() is not None, "the gateway is ready", seconds)
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        return self

    def heard(self, text):
        """Did the gateway tell the service manager this?"""
        while True:
            try:
                self.notices += self.notify.recv(4096).decode().splitlines()
            except BlockingIOError:
                return text in self.notices

    def run(self, *arguments, seconds=30):
        """One subcommand; the completed process with text output."""
        return subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds, env={**os.environ, **self.environment})

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        self.signal(signal.SIGHUP)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, seconds=15):
        """SIGTERM; (exit code, seconds it took)."""
        begin = time.monotonic()
        self.signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        return code, time.monotonic() - begin

    def wait_for_end(self, seconds=15):
        return self.process.wait(seconds)

    def log(self):
        return self.log_file.read_text(errors="replace")
