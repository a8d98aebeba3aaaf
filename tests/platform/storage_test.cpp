// SPDX-License-Identifier: Apache-2.0
#include "platform/storage.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace things;

TEST_CASE("what lies beneath the queue is told with what it costs") {
    const TempDir folder;
    const auto path = folder.path() / "not" / "there" / "yet" / "queue.db";
    const std::string root = "22 1 8:1 / / rw - ext4 /dev/root rw\n";
    const std::string layer =
        "30 22 0:30 / " + folder.path().string() +
        " rw shared:1 - overlay overlay rw,lowerdir=/l,upperdir=/up\\040er/d,workdir=/w\n";
    struct Case {
        std::uint64_t type;
        std::string mounts, told;
        bool is_container = false;
    };
    const Case cases[] = {
        {0xef53, root, ""},
        {0x01021994, root, "in memory (tmpfs): a reboot"},
        {0x858458f6, root, "in memory (ramfs): a reboot"},
        {0x4d44, root, "lies on vfat: a power cut"},
        {0x2011bab0, root, "lies on exfat"},
        {0x6969, root, "network file system (NFS)"},
        {0xfe534d42, root, "network file system (SMB)"},
        {0x794c7630, root + layer, ""}, // it writes to the card
        {0x794c7630, root + layer + "31 22 0:31 / /up\\040er rw - tmpfs tmpfs rw\n",
         "in memory (overlay): a reboot"},
        // The root itself, whose writable layer was mounted before it.
        {0x794c7630, "22 1 0:22 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n",
         "in memory (overlay)"},
        {0x794c7630, "22 1 0:22 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n", "", true},
        {0, "", ""},
    };
    for (const Case& c : cases) {
        CAPTURE(c.told);
        CAPTURE(c.mounts);
        const StorageProbe probe{[&c](const std::filesystem::path&) { return c.type; }, c.mounts,
                                 c.is_container};
        const std::string told = storage_problem(path, probe);
        CHECK(told.empty() == c.told.empty());
        CHECK(told.find(c.told) != std::string::npos);
    }
}
