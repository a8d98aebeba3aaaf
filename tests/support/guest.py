# SPDX-License-Identifier: Apache-2.0
"""A virtual machine that runs the gateway of this build on a Debian kernel: boots in seconds, keeps its queue on /dev/vda,
reaches this machine's loopback as 10.0.2.2. It has no users, no services: init mounts, starts the gateway, starts it again
should it end. Needs NEEDS, and fetches Debian's kernel package once into the build folder. Standard library only."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from support.gateway import PLUGINS, PROGRAM
from support.simulator import BUILD

NEEDS = ["qemu-system-x86", "busybox-static", "e2fsprogs", "cpio"]
HOST = "10.0.2.2"  # this machine's loopback, from inside
KERNEL_PACKAGE = "linux-image-cloud-amd64"
MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk", "failover",
           "net_failover", "virtio_net"]
DATA = "/data"  # where /dev/vda is mounted

INIT = """#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run
for module in MODULES; do insmod /modules/$module.ko; done
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
mkdir -p /data; mount -t ext4 -o data=ordered /dev/vda /data || echo "no disk"
while :; do
  /gateway/kpn-things-gateway run --config /gateway/gateway.yaml --plugin-dir /gateway/plugins
  echo "the gateway ended with $?"; sleep 1
done
"""


def new_image(folder, megabytes=48):
    """The bytes of an empty ext4 file system."""
    path = pathlib.Path(folder) / "fresh.img"
    path.write_bytes(b"")
    os.truncate(path, megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", path], check=True)
    image = path.read_bytes()
    path.unlink()
    return image


def kernel():
    """Its image and its modules' folder, from Debian's package; kept in the build folder."""
    place = BUILD / "guest"
    if not list(place.glob("boot/vmlinuz-*")):
        depends = subprocess.run(["apt-cache", "depends", KERNEL_PACKAGE], capture_output=True, text=True, check=True).stdout
        name = re.search(r"Depends: (linux-image-\S+)", depends).group(1)
        place.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["apt-get", "download", "-q", name], cwd=folder, check=True, capture_output=True)
            package, = pathlib.Path(folder).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", package, place], check=True)
    image, = place.glob("boot/vmlinuz-*")
    return image, place / "lib/modules"


def libraries(*programs):
    """Shared libraries that these need, with the loader."""
    found = set()
    for program in programs:
        text = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        found |= set(re.findall(r"(?:=> )?(/\S+) \(0x", text))
    return sorted(found)


def build_initrd(folder, files):
    """A root file system in memory with the gateway in it; `files` go beside its configuration (name: path)."""
    root = pathlib.Path(folder) / "root"
    for name in ("bin", "dev", "proc", "sys", "run", "modules", "gateway/plugins"):
        (root / name).mkdir(parents=True)
    busybox = root / "bin/busybox"
    shutil.copy("/bin/busybox", busybox)
    for name in ("sh", "mount", "insmod", "ip", "mkdir", "echo", "sleep"):
        (root / "bin" / name).symlink_to("busybox")
    modules = kernel()[1]
    for name in MODULES:
        module, = modules.rglob(f"{name}.ko")
        shutil.copy(module, root / "modules")
    plugin = PLUGINS / "modbus.so"
    for path in libraries(PROGRAM, plugin):
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    shutil.copy(PROGRAM, root / "gateway")
    shutil.copy(plugin, root / "gateway/plugins")
    for name, path in files.items():
        shutil.copy(path, root / "gateway" / name)
        (root / "gateway" / name).chmod(0o600)
    init = root / "init"
    init.write_text(INIT.replace("MODULES", " ".join(MODULES)))
    init.chmod(0o755)
    initrd = pathlib.Path(folder) / "initrd"
    with open(initrd, "wb") as out:
        names = b"\0".join(os.fsencode(path.relative_to(root)) for path in sorted(root.rglob("*")))
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], input=names, stdout=out, cwd=root, check=True)
    shutil.rmtree(root)
    return initrd


class Guest:
    """One run of the machine, from power on to power off."""

    def __init__(self, initrd, disk_socket, log):
        image = kernel()[0]
        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "256", "-smp", "1", "-nodefaults",
                 "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", image, "-initrd", initrd,
                 "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check", "-drive",
                 f"file=nbd+unix:///?socket={disk_socket},if=none,id=disk,format=raw,cache=none", "-device",
                 "virtio-blk-pci,drive=disk", "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def cut(self):
        self.process.kill()
        self.process.wait()
