# SPDX-License-Identifier: Apache-2.0
"""File systems of a size of their own, for a test that fills them or takes them away. Needs root. Standard library only."""

import os
import pathlib
import subprocess


class Mount:
    """A folder that is a file system: tmpfs, or ext4 in a file through a loop device."""

    def __init__(self, folder, megabytes, kind="tmpfs", inodes=1000):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.device = None
        if kind == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,nr_inodes={inodes},mode=0700", "things", self.folder)
            return
        image = self.folder.with_suffix(".img")
        image.write_bytes(b"")
        os.truncate(image, megabytes << 20)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", str(inodes), image)
        self.device = run("losetup", "--find", "--show", image).strip()
        run("mount", "-t", "ext4", self.device, self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.folder], stderr=subprocess.DEVNULL)
        if self.device:
            subprocess.run(["losetup", "-d", self.device])

    def read_only(self, on):
        run("mount", "-o", f"remount,{'ro' if on else 'rw'}", self.folder)

    def abort(self):
        """Makes it read-only at once, whatever is open, as it does itself after an error; ext4 only."""
        run("mount", "-o", "remount,abort", self.folder)

    def mend(self):
        """Checks and mounts it anew; nobody may have it open."""
        run("umount", self.folder)
        subprocess.run(["e2fsck", "-p", self.device], capture_output=True)
        run("mount", "-t", "ext4", self.device, self.folder)

    def device_bytes(self):
        """Written to the device so far; ext4 only."""
        with open(f"/sys/block/{pathlib.Path(self.device).name}/stat") as file:
            return int(file.read().split()[6]) * 512


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
