# SPDX-License-Identifier: Apache-2.0
"""A virtual machine that runs the gateway of this build on a Debian kernel: boots in seconds, keeps its queue on /dev/vda,
reaches this machine's loopback as 10.0.2.2. It has no users, no services: init mounts, starts the gateway, starts it again
should it end. Needs NEEDS, and fetches Debian's kernel package once into the build folder. Standard library only.

Two thirds of a start are the emulated boot of the kernel. So a guest can also wake from a machine that was frozen once,
booted and with its network but without its disk: it is told the time and gets a boot id and randomness of its own, then
finds its disk, mends the file system and starts the gateway as after any boot."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import uuid

from support.gateway import PLUGINS, PROGRAM
from support.simulator import BUILD, wait_until

NEEDS = ["qemu-system-x86", "busybox-static", "e2fsprogs", "cpio"]
HOST = "10.0.2.2"  # this machine's loopback, from inside
E2FSCK = "/sbin/e2fsck"  # before each mount, as in Debian: a commit of the journal that is torn is refused by the kernel alone
KERNEL_PACKAGE = "linux-image-cloud-amd64"
MODULES = ["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover", "net_failover",
           "virtio_net"]
DISK_MODULE = "virtio_blk"
DATA = "/data"  # where /dev/vda is mounted
RESEED = BUILD / "tests/reseed"

INIT = """#!/bin/sh
export PATH=/bin
mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs run /run
for module in MODULES; do insmod /modules/$module.ko; done
ip link set lo up; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; ip route add default via 10.0.2.2
read options </proc/cmdline
case "$options" in *to_be_frozen*)
  echo "ready to freeze"
  read now boot noise
  date -s "@$now"; echo "$noise" >/dev/urandom; reseed
  echo "$boot" >/run/boot_id; mount -o bind /run/boot_id /proc/sys/kernel/random/boot_id
esac
insmod /modules/DISK_MODULE.ko
e2fsck -p /dev/vda; mkdir -p /data; mount -t ext4 -o data=ordered /dev/vda /data || echo "no disk"
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
    for name in ("sh", "mount", "insmod", "ip", "mkdir", "echo", "sleep", "date"):
        (root / "bin" / name).symlink_to("busybox")
    modules = kernel()[1]
    for name in [*MODULES, DISK_MODULE]:
        module, = modules.rglob(f"{name}.ko")
        shutil.copy(module, root / "modules")
    plugin = PLUGINS / "modbus.so"
    for path in libraries(PROGRAM, plugin, RESEED, E2FSCK):
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    shutil.copy(PROGRAM, root / "gateway")
    for program in (RESEED, E2FSCK):
        shutil.copy(program, root / "bin")
    shutil.copy(plugin, root / "gateway/plugins")
    for name, path in files.items():
        shutil.copy(path, root / "gateway" / name)
        (root / "gateway" / name).chmod(0o600)
    init = root / "init"
    init.write_text(INIT.replace("DISK_MODULE", DISK_MODULE).replace("MODULES", " ".join(MODULES)))
    init.chmod(0o755)
    initrd = pathlib.Path(folder) / "initrd"
    with open(initrd, "wb") as out:
        names = b"\0".join(os.fsencode(path.relative_to(root)) for path in sorted(root.rglob("*")))
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "-R", "0:0"], input=names, stdout=out, cwd=root, check=True)
    shutil.rmtree(root)
    return initrd


def machine(initrd, disk_socket, word=""):
    """The command line of the emulator; `word` is one more for the kernel's."""
    return ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-m", "256", "-smp", "1", "-nodefaults",
            "-no-user-config", "-no-reboot", "-display", "none", "-kernel", kernel()[0], "-initrd", initrd, "-append",
            f"console=ttyS0 quiet panic=-1 random.trust_cpu=on no_timer_check {word}", "-drive",
            f"file=nbd+unix:///?socket={disk_socket},if=none,id=disk,format=raw,cache=none", "-device",
            "virtio-blk-pci,drive=disk", "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="]


def freeze(folder, initrd, disk_socket):
    """A file with the machine as it is just before it looks for a disk, for Guest to wake."""
    frozen, log = folder / "frozen", folder / "frozen.log"
    command = [*machine(initrd, disk_socket, "to_be_frozen"), "-serial", f"file:{log}", "-monitor", "stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        wait_until(lambda: log.exists() and "ready to freeze" in log.read_text(errors="replace"), "the guest boots", 240)
        process.communicate(f'migrate_set_parameter max-bandwidth 4G\nmigrate "exec:cat >{frozen}"\nquit\n')
    return frozen


class Guest:
    """One run of the machine, from power on to power off; from `frozen`, if given."""

    def __init__(self, initrd, disk_socket, log, frozen=None):
        wake = ["-incoming", f"exec:cat {frozen}"] if frozen else []
        with open(log, "ab") as out:
            self.process = subprocess.Popen([*machine(initrd, disk_socket), "-serial", "stdio", *wake],
                                            stdin=subprocess.PIPE, stdout=out, stderr=out)
        if frozen:  # a machine that wakes may miss the first byte
            self.process.stdin.write(f" {int(time.time())} {uuid.uuid4()} {os.urandom(64).hex()}\n".encode())
            self.process.stdin.flush()

    def cut(self):
        self.process.kill()
        self.process.communicate()
