// SPDX-License-Identifier: Apache-2.0
#include "platform/machine.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>

namespace things {

namespace {

constexpr std::size_t most_nics = 4;

/// FNV-1a, 64 bits; 0 for nothing.
std::uint64_t digest(const std::string& text) {
    std::uint64_t sum = 0xcbf29ce484222325U;
    for (const char c : text)
        sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return text.empty() ? 0 : sum;
}

/// The first line, without the NUL that the device tree has behind it.
std::string line_of(const std::filesystem::path& file) {
    std::string line;
    std::ifstream in(file);
    std::getline(in, line);
    line.erase(
        std::remove_if(line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) <= ' '; }),
        line.end());
    return line;
}

/// Whether every digit is 0: what a board says that was never given a number.
bool is_blank(const std::string& text) {
    return text.find_first_not_of("0:-") == std::string::npos;
}

} // namespace

MachineMark read_machine(const std::filesystem::path& root) {
    MachineMark mark;
    if (const std::string serial = line_of(root / "sys/firmware/devicetree/base/serial-number");
        !is_blank(serial))
        mark.board = digest(serial);
    // "uninitialized" is what systemd writes into an image that is to get one at its first start.
    if (const std::string id = line_of(root / "etc/machine-id"); !is_blank(id) && id != "uninitialized")
        mark.id = digest(id);
    std::error_code error, ignored;
    for (std::filesystem::directory_iterator at(root / "sys/class/net", error), end; !error && at != end;
         at.increment(error)) {
        // A bridge, a tunnel or a container's end of a cable has no device, and a made-up address.
        const bool is_built_in = std::filesystem::exists(at->path() / "device", ignored) &&
                                 line_of(at->path() / "addr_assign_type") == "0";
        const std::string address = line_of(at->path() / "address");
        if (is_built_in && !is_blank(address))
            mark.nics.push_back(digest(address));
    }
    std::sort(mark.nics.begin(), mark.nics.end());
    mark.nics.resize(std::min(mark.nics.size(), most_nics));
    return mark;
}

bool is_other_machine(const MachineMark& known, const MachineMark& present) {
    if (known.board != 0 && present.board != 0)
        return known.board != present.board;
    if (known.id != 0 && present.id != 0 && known.id != present.id)
        return true;
    const bool has_nics = !known.nics.empty() && !present.nics.empty();
    return has_nics && std::none_of(known.nics.begin(), known.nics.end(), [&present](std::uint64_t nic) {
               return std::binary_search(present.nics.begin(), present.nics.end(), nic);
           });
}

} // namespace things
