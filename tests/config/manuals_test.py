#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The man pages against what they describe.   manuals_test.py GATEWAY PLUGIN_DIR YAML_PAGE [--write]

YAML_PAGE, built from packaging/man, makes the page of the file from the tables that validate it; --write writes it anew."""

import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from support.cases import main  # noqa: E402

MAN = ROOT / "packaging/man"
GATEWAY, PLUGINS, YAML_PAGE = sys.argv[1:4]


def run(*arguments):
    done = subprocess.run([GATEWAY, *arguments, "--plugin-dir", PLUGINS], capture_output=True, text=True, check=False)
    return done.stdout


def yaml_page():
    return subprocess.run([YAML_PAGE, PLUGINS], capture_output=True, text=True, check=True).stdout


def page(name):
    """The text as it stands in the source, without its marks."""
    return re.sub(r"\\f[BRI]|\\&", "", (MAN / name).read_text()).replace("\\-", "-").replace("\\e", "\\")


def shown(name):
    """As a terminal shows it, and what groff complains of."""
    done = subprocess.run(["groff", "-man", "-Tutf8", "-wall", "-P-cbou", MAN / name], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def subcommands(*parents):
    listed = re.search(r"^Subcommands:\n((?:  .*\n)+)", run(*parents, "--help"), re.M)
    for name in re.findall(r"^  (\S+)  ", listed.group(1), re.M) if listed else []:
        yield (*parents, name)
        yield from subcommands(*parents, name)


class Manuals(unittest.TestCase):
    def test_the_page_of_the_file_is_what_the_tables_say(self):
        self.assertEqual((MAN / "kpn-things-gateway.yaml.5").read_text(), yaml_page(),
                         "a key has changed: run this test with --write behind its arguments, and commit the page")

    def test_every_key_of_every_plugin_is_on_it(self):
        text, complaints = shown("kpn-things-gateway.yaml.5")
        self.assertEqual(complaints, "")
        for key in ("commit_interval", "max_step", "sunspec", "obis", "csv", "credential", "mode_c"):
            self.assertRegex(text, rf"\b{key}\b")
        self.assertGreater(text.count("default "), 60)

    def test_every_command_and_every_option_is_on_the_page_of_the_command(self):
        text, complaints = page("kpn-things-gateway.1"), shown("kpn-things-gateway.1")[1]
        self.assertEqual(complaints, "")
        commands = list(subcommands())
        self.assertGreater(len(commands), 15)
        for command in commands:
            self.assertRegex(text, rf'(?m)^\.BR? .*\b{" ".join(command)}\b', f"{command} is missing")
        for command in [(), *commands]:
            for option in re.findall(r"(--[a-z-]+)", run(*command, "--help")):
                self.assertIn(option, text, f"{option} of {command}")

    def test_what_is_said_of_failures_and_limits_names_the_test_that_proves_it(self):
        for name in ("kpn-things-gateway.7", "kpn-things-gateway-limits.7"):
            self.assertEqual(shown(name)[1], "")
        failures, limits = re.split(r"(?m)^\.SH LIMITS$", page("kpn-things-gateway-limits.7"))
        for entry in failures.split(".TP\n")[1:] + limits.split(".SH SEE")[0].split(".TP\n")[1:]:
            proofs = re.findall(r"(?m)^\.I (tests/\S+?),?$", entry)
            self.assertTrue(proofs, entry)
            for proof in proofs:
                self.assertTrue((ROOT / proof).exists(), proof)

    def test_every_part_of_the_interface_is_on_the_page_of_plugins(self):
        text, complaints = page("things-plugin.7"), shown("things-plugin.7")[1]
        self.assertEqual(complaints, "")
        header = re.sub(r"/\*.*?\*/", "", (ROOT / "plugins/sdk/things_plugin.h").read_text(), flags=re.S)
        for struct in ("things_plugin", "things_host"):
            body = re.search(rf"typedef struct {struct} \{{(.*?)\n\}}", header, re.S).group(1)
            names = re.findall(r"\(\*(\w+)\)|(\w+)(?=;)", re.sub(r"\)\([^;]*\);", ")();", body))
            names = {a or b for a, b in names}
            self.assertGreater(len(names), 8)
            for name in names:
                self.assertRegex(text, rf"\b{name}\b", f"{struct}.{name}")
        for status in re.findall(r"THINGS_\w+(?= = \d+,?)", re.search(r"enum things_status \{(.*?)\}", header, re.S).group(1)):
            self.assertIn(status, text)


if __name__ == "__main__":
    if sys.argv[4:] == ["--write"]:
        (MAN / "kpn-things-gateway.yaml.5").write_text(yaml_page())
    else:
        main(sys.argv[:1])
