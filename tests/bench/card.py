# SPDX-License-Identifier: Apache-2.0
"""A file system of its own on a loop device, so that the block device counts what really reaches the card. Needs root."""

import dataclasses
import os
import pathlib
import subprocess


@dataclasses.dataclass
class Written:
    bytes: int    # sectors of the block device
    writes: int   # requests
    flushes: int  # cache flushes: what a sync ends in


class Card:
    def __init__(self, folder, size="2G"):
        self.image, self.path = folder / "card.img", folder / "card"
        self.path.mkdir()
        subprocess.run(["truncate", "-s", size, self.image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image], check=True)
        subprocess.run(["mount", "-o", "loop,noatime", self.image, self.path], check=True)
        found = subprocess.run(["findmnt", "-n", "-o", "SOURCE", self.path], check=True, capture_output=True, text=True)
        self.stat = pathlib.Path("/sys/block") / pathlib.Path(found.stdout.strip()).name / "stat"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", self.path], check=True)
        self.image.unlink()

    def written(self, since=None):
        """Until now, or from `since` on; whatever the kernel still holds is written first."""
        os.sync()
        words = [int(word) for word in self.stat.read_text().split()]
        now = Written(512 * words[6], words[4], words[15])
        if since is None:
            return now
        return Written(now.bytes - since.bytes, now.writes - since.writes, now.flushes - since.flushes)
