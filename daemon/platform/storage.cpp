// SPDX-License-Identifier: Apache-2.0
#include "platform/storage.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include <sys/vfs.h>

namespace things {

namespace {

namespace fs = std::filesystem;

enum class Fate : std::uint8_t { memory, careless, remote, layered };

struct Kind {
    std::uint64_t type; ///< of statfs(2)
    const char* name;
    Fate fate;
};

// From linux/magic.h and the file systems' own headers.
constexpr Kind kinds[] = {
    {0x01021994, "tmpfs", Fate::memory},    {0x858458f6, "ramfs", Fate::memory},
    {0x794c7630, "overlay", Fate::layered}, {0x4d44, "vfat", Fate::careless},
    {0x2011bab0, "exfat", Fate::careless},  {0x6969, "NFS", Fate::remote},
    {0xff534d42, "CIFS", Fate::remote},     {0xfe534d42, "SMB", Fate::remote},
    {0x517b, "SMB", Fate::remote},          {0x01021997, "9p", Fate::remote},
    {0x00c36400, "Ceph", Fate::remote},     {0x5346414f, "AFS", Fate::remote},
    {0x6b414653, "AFS", Fate::remote},      {0x47504653, "GPFS", Fate::remote},
    {0x01161970, "GFS2", Fate::remote},
};

const Kind* find_kind(std::uint64_t type) {
    for (const Kind& kind : kinds)
        if (kind.type == type)
            return &kind;
    return nullptr;
}

struct Mount {
    std::string point, type, options; ///< the file system's own options
};

/// Blanks and the like stand in mountinfo as \040.
std::string unescaped(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        int code = 0;
        bool is_code = text[i] == '\\' && i + 3 < text.size();
        for (std::size_t k = 1; is_code && k <= 3; ++k) {
            is_code = text[i + k] >= '0' && text[i + k] <= '7';
            code = code * 8 + (text[i + k] - '0');
        }
        out += is_code ? static_cast<char>(code) : text[i];
        i += is_code ? 3 : 0;
    }
    return out;
}

std::vector<Mount> parse(const std::string& mounts) {
    std::vector<Mount> out;
    std::istringstream lines(mounts);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
        std::size_t dash = 6; // behind the optional fields
        while (dash < fields.size() && fields[dash] != "-")
            ++dash;
        if (dash + 3 < fields.size())
            out.push_back({unescaped(fields[4]), fields[dash + 1], unescaped(fields[dash + 3])});
    }
    return out;
}

bool lies_in(const fs::path& path, const fs::path& folder) {
    auto at = path.begin();
    for (const fs::path& part : folder) {
        if (part.empty()) // a slash at the end
            continue;
        if (at == path.end() || *at != part)
            return false;
        ++at;
    }
    return true;
}

/// The one that lies on top there: the last of those with the longest path.
const Mount* mount_of(const std::vector<Mount>& mounts, const fs::path& path) {
    const Mount* best = nullptr;
    for (const Mount& mount : mounts)
        if (lies_in(path, mount.point) && (best == nullptr || mount.point.size() >= best->point.size()))
            best = &mount;
    return best;
}

std::string option(const std::string& options, std::string_view name) {
    std::istringstream parts(options);
    for (std::string part; std::getline(parts, part, ',');)
        if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=')
            return part.substr(name.size() + 1);
    return {};
}

/// Where an overlay writes to; in memory or not. A container's engine keeps that out of sight, on a disk.
bool is_in_memory(const std::vector<Mount>& mounts, const fs::path& path, const StorageProbe& probe) {
    const Mount* overlay = mount_of(mounts, path);
    if (overlay == nullptr || overlay->type != "overlay")
        return false;
    const std::string upper = option(overlay->options, "upperdir");
    const Mount* below = upper.empty() ? nullptr : mount_of(mounts, upper);
    // Only itself lies there: the writable layer was mounted before this root, as the read-only images of
    // many a Pi do it.
    if (below == nullptr || below == overlay)
        return !upper.empty() && overlay->point == "/" && !probe.is_container;
    return below->type == "tmpfs" || below->type == "ramfs";
}

} // namespace

StorageProbe system_storage() {
    StorageProbe probe;
    probe.type_of = [](const fs::path& path) {
        struct statfs found {};
        // 32 bits wherever it is signed, too.
        return ::statfs(path.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.f_type) & 0xffffffffU
                                                   : 0;
    };
    std::ifstream in("/proc/self/mountinfo");
    probe.mounts.assign(std::istreambuf_iterator<char>(in), {});
    std::error_code ignored;
    for (const char* sign : {"/run/systemd/container", "/.dockerenv", "/run/.containerenv"})
        probe.is_container = probe.is_container || fs::exists(sign, ignored);
    return probe;
}

std::string storage_problem(const fs::path& path, const StorageProbe& probe) {
    std::error_code error;
    fs::path there = fs::absolute(path, error).lexically_normal();
    while (there.has_relative_path() && !fs::exists(there, error))
        there = there.parent_path();
    if (const fs::path real = fs::canonical(there, error); !error)
        there = real;
    const Kind* kind = find_kind(probe.type_of(there));
    if (kind == nullptr)
        return {};
    const char* const cure = "set queue.path to a place on the card or disk";
    switch (kind->fate) {
    case Fate::layered:
        if (!is_in_memory(parse(probe.mounts), there, probe))
            return {};
        [[fallthrough]];
    case Fate::memory:
        return fmt::format(
            "queue.path {} lies in memory ({}): a reboot or a power cut costs every reading that has "
            "not been sent by then, and the record of commands; {}",
            path.string(), kind->name, cure);
    case Fate::careless:
        return fmt::format(
            "queue.path {} lies on {}: a power cut may cost the whole queue, because that file system "
            "has no journal, and everybody may read it; {} with ext4",
            path.string(), kind->name, cure);
    case Fate::remote:
        return fmt::format(
            "queue.path {} lies on a network file system ({}): without network nothing is kept but "
            "in memory, and after a reboot then every reading that was not sent is lost; {}",
            path.string(), kind->name, cure);
    }
    return {};
}

} // namespace things
