#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Completion as a person meets it: bash's own variables, and a zsh on a terminal whose Tab is pressed.

    completion_test.py GATEWAY PLUGIN_DIR"""

import os
import pathlib
import pty
import select
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from support.cases import main  # noqa: E402

SHELLS = ROOT / "packaging/completion"
GATEWAY, PLUGINS = (pathlib.Path(a).resolve() for a in sys.argv[1:3])

CONFIG = """
sources:
  cabinet: {plugin: modbus, host: 192.0.2.1}
  fake: {plugin: simulated}
devices:
  - {name: boiler, dvnuuid: 6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40, secret: {file: secrets/not-ours-to-read}, source: cabinet,
     unit_id: 1, points: [{name: temperature, holding: 1}, {name: setpoint, holding: 2, writable: true}]}
  - {name: chiller, dvnuuid: 0d3a5f3e-8c1b-4f60-9a77-5e2b6c9d1e02, secret: {env: NOT_SET}, source: fake, points: [{name: level}]}
"""


class Completion(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="things-")
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        self.config = self.folder / "gateway.yaml"
        self.config.write_text(CONFIG)
        (self.folder / "bin").mkdir()
        (self.folder / "bin/kpn-things-gateway").symlink_to(GATEWAY)
        self.environment = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "HOME": str(self.folder), "TERM": "dumb",
                            "LC_ALL": "C.UTF-8"}


class Bash(Completion):
    def offered(self, *words):
        """What Tab offers for the last of these words."""
        script = (f"source {SHELLS}/kpn-things-gateway.bash; complete -p kpn-things-gateway >&2\n"
                  'COMP_WORDS=(kpn-things-gateway "$@"); COMP_CWORD=$#; _kpn_things_gateway\n'
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", script, "bash", *words], capture_output=True, text=True,
                              env=self.environment, cwd=self.folder, check=True)
        self.assertIn("-F _kpn_things_gateway", done.stderr)
        return done.stdout.split()

    def with_config(self, *words):
        return self.offered("--config", str(self.config), *words)

    def test_subcommands(self):
        self.assertEqual(self.offered("pro"), ["profiles", "provision"])
        self.assertEqual(self.offered("queue", ""), ["list", "show", "retry", "drop", "adopt"])
        self.assertEqual(self.offered("plugins", "show", "mod"), ["modbus"])
        self.assertNotIn("plugin-host", self.offered(""))

    def test_options_of_the_command_and_of_all(self):
        self.assertEqual(self.offered("check", "--p"), ["--print", "--plan", "--points", "--plugin-dir"])
        self.assertEqual(self.offered("scan", "--u"), ["--unit", "--units"])
        self.assertEqual(self.offered("provision", "--format", ""), ["yaml", "csv"])
        self.assertEqual(self.offered("scan", "x", "--table", "h"), ["holding"])

    def test_names_come_from_the_configuration_whose_secrets_need_not_be_readable(self):
        self.assertEqual(self.with_config("read", ""), ["boiler", "chiller"])
        self.assertEqual(self.with_config("read", "boiler", ""), ["temperature", "setpoint"])
        self.assertEqual(self.with_config("read", "boiler", "temperature", "s"), ["setpoint"])
        self.assertEqual(self.with_config("write", "boiler", ""), ["setpoint"])
        self.assertEqual(self.with_config("scan", ""), ["cabinet", "fake"])
        self.assertEqual(self.with_config("queue", "retry", "--device", "c"), ["chiller"])
        self.assertEqual(self.offered("send", "--config", str(self.config), "b"), ["boiler"])
        self.assertEqual(self.offered("--config", "=", str(self.config), "send", "b"), ["boiler"])

    def test_profiles(self):
        self.assertEqual(self.offered("profiles", "show", "eastron-sdm63"), ["eastron-sdm630-v2"])
        self.assertIn("dsmr", self.offered("provision", "--profile", ""))

    def test_files_are_the_shells_own(self):
        self.assertEqual(self.offered("--config", "gate"), ["gateway.yaml"])
        self.assertEqual(self.offered("provision", "--directory", "b"), ["bin"])

    def test_nothing_and_no_complaint_where_nothing_fits(self):
        self.assertEqual(self.offered("read", ""), [])  # no configuration at its place, or not ours
        self.config.write_text("devices: [")
        self.assertEqual(self.with_config("read", ""), [])
        self.assertEqual(self.offered("nonsense", "x", ""), [])


class Zsh(Completion):
    def typed(self, keys):
        """What stands on zsh's line after these keys, Tab among them."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], self.environment)
        self.addCleanup(os.close, terminal)
        try:
            os.write(terminal, f"PS1=; unsetopt zle_bracketed_paste; fpath=({SHELLS} $fpath); autoload -U compinit; "
                               f"compinit -u -D; zstyle ':completion:*' list-prompt ''; LISTMAX=0; print re''ady\n".encode())
            self.until(terminal, "\nready")
            os.write(terminal, keys.encode() + b"\x01print -r -- '[\x05]'\n")
            return self.until(terminal, "\n[", "]\r").rpartition("\n[")[2].rpartition("]")[0].rstrip()
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)

    def until(self, terminal, *texts):
        seen, end = "", time.monotonic() + 20
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 65536).decode(errors="replace").replace("\r\n", "\n")
            if all(text.replace("\r", "\n") in seen for text in texts):
                return seen
        raise AssertionError(f"zsh did not say {texts}: {seen!r}")

    def test_commands_options_and_names(self):
        self.assertEqual(self.typed("kpn-things-gateway prov\t"), "kpn-things-gateway provision")
        self.assertEqual(self.typed("kpn-things-gateway check --pr\t"), "kpn-things-gateway check --print")
        self.assertEqual(self.typed("kpn-things-gateway --config gate\tread boi\ttem\t"),
                         "kpn-things-gateway --config gateway.yaml read boiler temperature")


if __name__ == "__main__":
    main(sys.argv[:1])
