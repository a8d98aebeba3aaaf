// SPDX-License-Identifier: Apache-2.0
#include "platform/machine.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>

using namespace things;

namespace {

void put(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
}

} // namespace

TEST_CASE("a machine is known by its board, its id and its built-in interfaces") {
    const TempDir folder;
    const auto root = folder.path();
    CHECK(read_machine(root).empty()); // a container
    put(root / "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    const MachineMark with_id = read_machine(root);
    CHECK(with_id.id != 0);
    CHECK(with_id.board == 0);
    put(root / "sys/firmware/devicetree/base/serial-number", std::string("10000000abcdef01\0", 17));
    CHECK(read_machine(root).board != 0);
    std::filesystem::create_directories(root / "sys/class/net/eth0/device");
    put(root / "sys/class/net/eth0/address", "b8:27:eb:00:00:01\n");
    put(root / "sys/class/net/eth0/addr_assign_type", "0\n");
    put(root / "sys/class/net/veth1/address", "02:00:00:00:00:01\n"); // no device of its own
    put(root / "sys/class/net/veth1/addr_assign_type", "3\n");
    CHECK(read_machine(root).nics.size() == 1);
    for (const char* none : {"", "uninitialized\n", "00000000000000000000000000000000\n"}) {
        put(root / "etc/machine-id", none);
        CHECK(read_machine(root).id == 0);
    }
}

TEST_CASE("another machine is told from the same one with a part exchanged") {
    const MachineMark none, pi{1, 2, {3}};
    CHECK_FALSE(is_other_machine(none, pi));
    CHECK_FALSE(is_other_machine(pi, none));
    CHECK_FALSE(is_other_machine(pi, {1, 9, {9}})); // the board decides
    CHECK(is_other_machine(pi, {9, 2, {3}}));
    CHECK(is_other_machine({0, 2, {3}}, {0, 9, {3}}));
    CHECK(is_other_machine({0, 2, {3}}, {0, 2, {9}}));          // the card was copied with its id
    CHECK_FALSE(is_other_machine({0, 2, {3, 4}}, {0, 2, {4}})); // an adapter was taken out
    CHECK_FALSE(is_other_machine({0, 2, {3}}, {0, 2, {}}));
}
