# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for servers of a test's own. Needs the openssl command.

    ca = Authority(folder)
    ca.file                                            # for the gateway's ca_file
    certificate, key = ca.issue("127.0.0.1")           # or not_before="20200101000000Z", not_after=...
"""

import ipaddress
import pathlib
import subprocess

CONFIG = """\
[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = none
[none]
"""


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL, capture_output=True)


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        (self.folder / "index").touch()
        self.config = self.folder / "openssl.cnf"
        self.config.write_text(CONFIG.format(folder=self.folder))
        self.file, self.key, self.count = self.folder / "ca.pem", self.folder / "ca.key", 0
        openssl("req", "-x509", "-config", self.config, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", self.key, "-out", self.file, "-days", 30, "-subj", f"/CN=test {name}",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, host, not_before=None, not_after=None, signed_by_itself=False):
        """PEM files of a certificate for this name or address and of its key."""
        self.count += 1
        key, request, leaf = (self.folder / f"{self.count}.{kind}" for kind in ("key", "csr", "pem"))
        extensions = self.folder / f"{self.count}.ext"
        try:
            name = f"IP:{ipaddress.ip_address(host)}"
        except ValueError:
            name = f"DNS:{host}"
        extensions.write_text(f"subjectAltName={name}\nextendedKeyUsage=serverAuth\n")
        openssl("req", "-config", self.config, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", key, "-out", request, "-subj", f"/CN={host}")
        if signed_by_itself:
            openssl("x509", "-req", "-in", request, "-signkey", key, "-out", leaf, "-days", 30, "-extfile", extensions)
        else:
            validity = ["-startdate", not_before or "20200101000000Z", "-enddate", not_after or "20600101000000Z"]
            openssl("ca", "-batch", "-notext", "-config", self.config, "-cert", self.file, "-keyfile", self.key, "-in", request,
                    "-out", leaf, "-extfile", extensions, *validity)
        return leaf, key
