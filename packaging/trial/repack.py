# SPDX-License-Identifier: Apache-2.0
"""The same package under a higher version, with one conffile changed: what an upgrade meets."""

import hashlib
import pathlib
import re
import subprocess
import tempfile

CONFFILE = "etc/kpn-things-gateway/gateway.yaml"
NEW_LINE = "# This line is new in the next version.\n"


def repack(deb, version, target):
    """Writes a package like `deb` into the file `target`."""
    with tempfile.TemporaryDirectory(prefix="things-repack-") as name:
        folder = pathlib.Path(name) / "package"
        subprocess.run(["dpkg-deb", "-R", deb, folder], check=True)
        control = folder / "DEBIAN/control"
        control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
        conffile = folder / CONFFILE
        conffile.write_text(conffile.read_text() + NEW_LINE)
        sums = folder / "DEBIAN/md5sums"
        digest = hashlib.md5(conffile.read_bytes()).hexdigest()
        sums.write_text(re.sub(rf"(?m)^\w+(  {re.escape(CONFFILE)})$", rf"{digest}\1", sums.read_text()))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", folder, target], check=True, stdout=subprocess.DEVNULL)
